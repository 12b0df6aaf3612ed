import { describe } from '@jest/globals';
import {
  createRedisBackend,
  honoursBackendContract,
  honoursQueueContract,
} from '@holdfast/queue/contract';
import { openRedisFixture } from '../../../src/redis-fixture.ts';

describe('Redis as a backend', () => {
  honoursBackendContract(async () => {
    const fixture = await openRedisFixture({});
    const backend = createRedisBackend({ redis: { url: fixture.redis.url } });
    backend.open({
      connected: () => undefined,
      attemptFailed: () => undefined,
      disconnected: () => undefined,
    });
    return {
      backend,
      async close() {
        await backend.close();
        await fixture.close();
      },
    };
  });
});

describe('the queue on Redis', () => {
  honoursQueueContract(async (options) => {
    const fixture = await openRedisFixture({});
    const queue = fixture.queue({ ...options, directory: await fixture.directory() });
    return { queue, close: () => fixture.close() };
  });
});
