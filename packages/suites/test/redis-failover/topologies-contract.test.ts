import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from '@jest/globals';
import type { RedisServerOptions } from '@holdfast/queue';
import {
  createRedisBackend,
  honoursBackendContract,
  honoursQueueContract,
} from '@holdfast/queue/contract';
import type { Field } from '../../src/field.ts';
import { openClusterField, openSentinelField } from '../../src/topologies.ts';

const topologies: [string, () => Promise<Field>][] = [
  ['Redis behind Sentinels', () => openSentinelField({})],
  ['a Redis Cluster', () => openClusterField({})],
];

describe.each(topologies)('%s', (_, open) => {
  let field: Field;
  beforeAll(async () => {
    field = await open();
  });
  afterAll(() => field.close());

  /** One server for all tests, and for each of them keys of its own. */
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
