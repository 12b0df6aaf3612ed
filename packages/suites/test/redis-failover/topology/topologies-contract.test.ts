import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from '@jest/globals';
import type { RedisServerOptions } from '@holdfast/queue';
import {
  createRedisBackend,
  honoursBackendContract,
  honoursQueueContract,
} from '@holdfast/queue/contract';
import type { QueueFixture } from '../../../src/queue-fixture.ts';
import { openClusterFixture, openSentinelFixture } from '../../../src/topologies.ts';

const topologies: [string, () => Promise<QueueFixture>][] = [
  ['Redis behind Sentinels', () => openSentinelFixture({})],
  ['a Redis Cluster', () => openClusterFixture({})],
];

describe.each(topologies)('%s', (_, open) => {
  let field: QueueFixture;
  beforeAll(async () => {
    field = await open();
  });
  afterAll(() => field.close());

  /** One server for all tests, with a separate key prefix for each. */
  const own = (): { redis: RedisServerOptions; prefix: string } => ({
    redis: field.server,
    prefix: randomUUID(),
  });

  honoursBackendContract(async () => {
    const backend = createRedisBackend(own());
    backend.open({
      connected: () => undefined,
      attemptFailed: () => undefined,
      disconnected: () => undefined,
    });
    return { backend, close: () => backend.close() };
  });

  honoursQueueContract(async (options) => {
    const queue = field.queue({ ...own(), ...options, fallback: 'memory' });
    return { queue, close: () => queue.close() };
  });
});
