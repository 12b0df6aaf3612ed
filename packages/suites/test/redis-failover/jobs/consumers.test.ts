import { expect, test } from '@jest/globals';
import type { ConnectionListener, Publication, RedisConnector } from '@holdfast/queue';
import { createRedisBackend } from '@holdfast/queue/contract';
import { Redis } from 'ioredis';
import { openRedisFixture } from '../../../src/redis-fixture.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const TOPIC = 't';
const STREAM = `holdfast:{${TOPIC}}:jobs`;
const GROUP = 'holdfast';
const LEASE_MS = 300;

const silent: ConnectionListener = {
  connected: () => undefined,
  attemptFailed: () => undefined,
  disconnected: () => undefined,
};

function publicationOf(sequences: readonly number[]): Publication {
  const jobs = sequences.map((sequence) => ({
    sequence,
    id: `job ${sequence}`,
    unique: false,
    enqueuedAtMs: 1,
    dueAtMs: 0,
    payload: String(sequence),
  }));
  const marks = { ownerEpoch: 1, originEpoch: 1, floor: 0, previous: 0 };
  return { topic: TOPIC, producer: 'p', ...marks, jobs };
}

test('a dead consumer is removed from its group, and one that holds a job stays in it', async () => {
  const fixture = await openRedisFixture({});
  const backend = createRedisBackend({ redis: fixture.server });
  backend.open(silent);
  const subscription = backend.subscribe(TOPIC, LEASE_MS);
  try {
    await subscription.whenConnected(new AbortController().signal);
    await subscription.recover([], 1);
    await fixture.admin(async (client) => {
      await client.xgroup('CREATECONSUMER', STREAM, GROUP, 'dead');
      const names = async (): Promise<string[]> => {
        const listed: unknown = await client.xinfo('CONSUMERS', STREAM, GROUP);
        return Array.isArray(listed) ? listed.map((info: unknown[]) => String(info[1])) : [];
      };
      await backend.publish(publicationOf([1]));
      const held: string[] = [];
      await waitUntil(async () => {
        held.push(...(await subscription.fetch(1)).map(({ handle }) => handle));
        return held.length > 0;
      });
      expect(await names()).toHaveLength(2);
      await waitUntil(async () => {
        await subscription.recover(held, 1);
        return !(await names()).includes('dead');
      });
      expect(await names()).toHaveLength(1);
    });
  } finally {
    await subscription.close();
    await backend.close();
    await fixture.close();
  }
});

test('a read on a connection that was given up takes nothing, however late it arrives', async () => {
  const fixture = await openRedisFixture({});
  const proxy = await fixture.proxy();
  const { host, port } = fixture.redis;
  let by = { host: proxy.host, port: proxy.port };
  const connect: RedisConnector = (required) => new Redis({ ...by, ...required });
  const backend = createRedisBackend({ redis: { connect }, commandTimeoutMs: 200 });
  backend.open(silent);
  const subscription = backend.subscribe(TOPIC, 60_000);
  const { signal } = new AbortController();
  const fetched = async (max: number): Promise<string[]> =>
    (await subscription.fetch(max)).map(({ payload }) => payload);
  try {
    await subscription.whenConnected(signal);
    await subscription.recover([], 1);
    await backend.publish(publicationOf([1]));
    expect(await fetched(1)).toEqual(['1']);
    await fixture.admin(async (client) => {
      const connections = async (): Promise<string[]> =>
        [...String(await client.client('LIST')).matchAll(/^id=(\d+)/gmu)].map(([, id = '']) => id);
      const former = await connections();
      const isLeft = (id: string): boolean => former.includes(id);
      proxy.faults.set('blackhole', { direction: 'toServer' });
      by = { host, port };
      await expect(fetched(2)).rejects.toThrow('no answer within');
      // Both proxies have a new connection.
      await waitUntil(() =>
        backend.count(TOPIC).then(
          () => true,
          () => false,
        ),
      );
      await subscription.whenConnected(signal);
      await backend.publish(publicationOf([2, 3, 4]));
      await proxy.heal();
      // The bytes that the proxy held have arrived, and then the end of those connections. The connection that asks stays.
      await waitUntil(async () => (await connections()).filter(isLeft).length === 1);
    });
    expect(await fetched(3)).toEqual(['2', '3', '4']);
  } finally {
    await subscription.close();
    await backend.close();
    await fixture.close();
  }
});
