import { expect, test } from '@jest/globals';
import { createTieredCache } from '@holdfast/cache/redis';
import { openStage } from '@holdfast/stage';
import { Cluster } from 'ioredis';
import { waitUntil } from '../../src/wait-until.ts';

test('a cluster keeps a namespace on one node, and caches share it there', async () => {
  const stage = await openStage({ redis: { topology: 'cluster' } });
  const client = new Cluster(
    stage.redis.nodes.map(({ host, port }) => ({ host, port })),
    { lazyConnect: true },
  );
  // A busy machine is no outage.
  const redis = { client, namespace: 'clustered', timeoutMs: 10_000 };
  const caches = [1, 2].map(() => createTieredCache<string>({ redis }));
  const [first, second] = caches;
  try {
    await waitUntil(() => caches.every((cache) => cache.getStats().redis.isConnected));
    const set = await first?.set('key', 'value', { tags: ['t'] });
    expect(set).toMatchObject({ redis: 'stored' });
    expect(await second?.get('key')).toMatchObject({ value: 'value', from: 'redis' });
    expect((await second?.getOrLoad('other', () => 'loaded'))?.from).toBe('source');
    await waitUntil(async () => (await first?.get('other')) !== undefined);
    expect(await first?.invalidateTag('t')).toStrictEqual({ redis: 'stored' });
    await waitUntil(() => second?.peek('key') === undefined);
    expect(await second?.get('key')).toBeUndefined();
  } finally {
    await Promise.all(caches.map((cache) => cache.close()));
    client.disconnect();
    await stage.close();
  }
});
