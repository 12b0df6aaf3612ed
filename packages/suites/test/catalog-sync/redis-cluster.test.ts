import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRedisGenerations, createRedisLock } from '@holdfast/catalog/redis';
import { STAGE_OPEN_TIMEOUT_MS, openStage } from '@holdfast/stage';
import { Cluster } from 'ioredis';
import { catalogBundles, publishGeneration } from '../../src/catalog/redis-catalog.ts';
import { readGeneration } from '../../src/catalog/read-generation.ts';

async function openCluster() {
  const stage = await openStage({ redis: { topology: 'cluster' } });
  const nodes = stage.redis.nodes.map(({ host, port }) => ({ host, port }));
  return { stage, nodes };
}

let cluster: Awaited<ReturnType<typeof openCluster>>;
beforeAll(async () => {
  cluster = await openCluster();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(() => cluster.stage.close());

test.each(['catalog', 'another', 'a third'])(
  'in a cluster the keys of the catalog "%s" are on one node, and all works as on a single server',
  async (prefix) => {
    const client = new Cluster(cluster.nodes, { lazyConnect: true });
    const options = { client, prefix, timeoutMs: 10_000 };
    const store = createRedisGenerations({
      ...options,
      rowsPerChunk: 20,
      rebuild: ({ generation }, firstRow, rows) =>
        Promise.resolve(catalogBundles(100, generation).slice(firstRow, firstRow + rows)),
    });
    const lock = createRedisLock(options);
    try {
      const lease = await lock.acquire();
      await publishGeneration(store, 1, { token: lease.token });
      await publishGeneration(store, 2, { token: lease.token });
      await lease.release();
      expect(await readGeneration(store)).toStrictEqual({
        generation: 2,
        bundles: catalogBundles(100, 2),
      });
      await expect(store.stage({ generation: 2, token: 9 })).rejects.toMatchObject({
        code: 'CATALOG_FENCED',
      });
      await expect(publishGeneration(store, 3, { token: 0 })).rejects.toMatchObject({
        code: 'CATALOG_FENCED',
      });
    } finally {
      await lock.close();
      await store.close();
      client.disconnect();
    }
  },
);
