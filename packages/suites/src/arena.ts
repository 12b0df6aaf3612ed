import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { type Queue, type QueueOptions, createQueueAdapter } from '@holdfast/queue';
import { sleep, systemClock } from '@holdfast/resilience';
import { type ServerHandle, type StageMode, openStage } from '@holdfast/stage';
import { Redis } from 'ioredis';

/** A Redis of its own, and everything a scenario opens around it; closing it leaves nothing. */
export interface Arena {
  readonly mode: StageMode;
  readonly redis: ServerHandle;
  /** A queue with its journal in `directory`, or with the fallback the options name. */
  queue(options?: Partial<QueueOptions> & { directory?: string }): Queue;
  /** A fault proxy in front of Redis. */
  proxy(): Promise<FaultProxy>;
  /** A new temporary folder. */
  directory(): Promise<string>;
  /** Says something to Redis beside the queue. */
  readonly admin: <T>(say: (client: Redis) => Promise<T>, password?: string) => Promise<T>;
  /** Resolves once Redis holds no job of the topic any more. */
  untilHandled(topic: string): Promise<void>;
  close(): Promise<void>;
}

/** A Redis that has on its disk whatever it acknowledged. */
export const PERSISTENT = { appendonly: 'yes', appendfsync: 'always' } as const;

/**
 * A Redis that may forget the last second or two even when only its process is killed: while one sync is
 * under way it answers first and writes later.
 */
export const EVERY_SECOND = { appendonly: 'yes', appendfsync: 'everysec' } as const;

const POLL_MS = 10;
const TRUE_WITHIN_MS = 60_000;

export async function openArena(settings: Readonly<Record<string, string>>): Promise<Arena> {
  const stage = await openStage({ redis: { settings } });
  const { redis } = stage;
  const queues: Queue[] = [];
  const proxies: FaultProxy[] = [];
  const directories: string[] = [];

  const directory = async (): Promise<string> => {
    const made = await mkdtemp(join(tmpdir(), 'holdfast-suite-'));
    directories.push(made);
    return made;
  };

  const admin: Arena['admin'] = async (say, password) => {
    const client = new Redis(redis.url, {
      lazyConnect: true,
      retryStrategy: null,
      enableReadyCheck: false,
      ...(password !== undefined && { password }),
    });
    client.on('error', () => undefined);
    try {
      return await say(client);
    } finally {
      client.disconnect();
    }
  };

  return {
    mode: stage.mode,
    redis,
    directory,
    admin,
    async proxy() {
      const { host, port } = redis;
      const proxy = await createFaultProxy({ target: { host, port } });
      proxies.push(proxy);
      return proxy;
    },
    queue({ directory: given, ...options } = {}) {
      if (given === undefined && options.fallback === undefined) {
        throw new TypeError('a scenario says where its jobs wait');
      }
      const fallback = given === undefined ? {} : { fallback: { journal: { directory: given } } };
      const queue = createQueueAdapter({ redis: { url: redis.url }, ...fallback, ...options });
      queues.push(queue);
      return queue;
    },
    untilHandled: (topic) =>
      admin(async (client) => {
        await untilTrue(async () => (await client.xlen(`holdfast:{${topic}}:jobs`)) === 0);
      }),
    async close() {
      await Promise.allSettled(queues.map((queue) => queue.close({ deadlineMs: 1_000 })));
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await stage.close();
      await Promise.all(directories.map((made) => rm(made, { recursive: true, force: true })));
    },
  };
}

/** Asks a server again and again until it says yes, for a bounded time. */
export async function untilTrue(ask: () => Promise<boolean>): Promise<void> {
  const deadlineMs = systemClock.now() + TRUE_WITHIN_MS;
  while (!(await ask())) {
    if (systemClock.now() > deadlineMs)
      throw new Error(`not true within ${TRUE_WITHIN_MS} ms: ${ask.toString()}`);
    await sleep(systemClock, POLL_MS);
  }
}
