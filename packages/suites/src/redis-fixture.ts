import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { type ServerHandle, openStage } from '@holdfast/stage';
import { Redis } from 'ioredis';
import { type QueueFixture, openQueueFixture, withClient } from './queue-fixture.ts';

/** A separate Redis and everything that a scenario opens for it; closing removes all of it. */
export interface RedisFixture extends QueueFixture {
  readonly redis: ServerHandle;
  /** A fault proxy in front of Redis. */
  proxy(): Promise<FaultProxy>;
  /** Runs commands on Redis with a client of its own. */
  readonly admin: <T>(say: (client: Redis) => Promise<T>, password?: string) => Promise<T>;
}

/** A Redis that syncs to its disk before it acknowledges. */
export const AOF_ALWAYS = { appendonly: 'yes', appendfsync: 'always' } as const;

/** A Redis that survives a crash of its process, but not of the machine: it does not wait for the disk. */
export const AOF_NO_FSYNC = { appendonly: 'yes', appendfsync: 'no' } as const;

/**
 * A Redis that may lose the last second or two even when only its process is killed: while a sync is
 * running it answers first and writes later.
 */
export const AOF_EVERYSEC = { appendonly: 'yes', appendfsync: 'everysec' } as const;

export async function openRedisFixture(
  settings: Readonly<Record<string, string>>,
): Promise<RedisFixture> {
  const stage = await openStage({ redis: { settings } });
  const { redis } = stage;
  const proxies: FaultProxy[] = [];
  const field = openQueueFixture({
    stage,
    server: { url: redis.url },
    client: () => new Redis(redis.url, { retryStrategy: () => 10, maxRetriesPerRequest: null }),
    closeFirst: () => Promise.all(proxies.map((proxy) => proxy.close())),
  });
  return {
    ...field,
    redis,
    log: () => redis.log(),
    admin: (say, password) => withClient(directClient(redis.url, password), say),
    async proxy() {
      const { host, port } = redis;
      const proxy = await createFaultProxy({ target: { host, port } });
      proxies.push(proxy);
      return proxy;
    },
  };
}

/** A client of exactly this server that neither queues commands nor retries. */
export function directClient(url: string, password?: string): Redis {
  return new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    enableReadyCheck: false,
    ...(password !== undefined && { password }),
  });
}
