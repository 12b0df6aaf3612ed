import { describe } from '@jest/globals';
import {
  createRedisBackend,
  honoursBackendContract,
  honoursQueueContract,
} from '@holdfast/queue/contract';
import { openRedisFixture } from '../../../src/redis-fixture.ts';

describe('Redis as a backend', () => {
  honoursBackendContract(async () => {
    const arena = await openRedisFixture({});
    const backend = createRedisBackend({ redis: { url: arena.redis.url } });
    backend.open({
      connected: () => undefined,
      attemptFailed: () => undefined,
      disconnected: () => undefined,
    });
    return {
      backend,
      async close() {
        await backend.close();
        await arena.close();
      },
    };
  });
});

describe('the queue on Redis', () => {
  honoursQueueContract(async (options) => {
    const arena = await openRedisFixture({});
    const queue = arena.queue({ ...options, directory: await arena.directory() });
    return { queue, close: () => arena.close() };
  });
});
