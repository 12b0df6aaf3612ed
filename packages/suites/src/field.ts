import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Queue,
  type QueueOptions,
  type RedisServerOptions,
  createQueueAdapter,
} from '@holdfast/queue';
import { sleep, systemClock } from '@holdfast/resilience';
import type { StageMode } from '@holdfast/stage';
import { Cluster, Redis } from 'ioredis';

/** What a scenario stands on, whatever form its Redis has: queues and folders of its own. */
export interface Field {
  readonly mode: StageMode;
  /** How a queue reaches the Redis. */
  readonly server: RedisServerOptions;
  /** A queue with its journal in `directory`, or with the fallback the options name. */
  queue(options?: Partial<QueueOptions> & { directory?: string }): Queue;
  /** A new temporary folder. */
  directory(): Promise<string>;
  /** Resolves once Redis holds no job of the topic any more. */
  untilHandled(topic: string): Promise<void>;
  /** Ends the queues, then the servers, then removes the folders. */
  close(): Promise<void>;
}

const POLL_MS = 10;
const TRUE_WITHIN_MS = 60_000;

export interface FieldParts {
  readonly stage: { readonly mode: StageMode; close(): Promise<void> };
  readonly server: RedisServerOptions;
  /** A client that finds the server by itself. */
  readonly client: () => Redis | Cluster;
  readonly closeFirst?: () => Promise<unknown>;
}

export function openField({ stage, server, client, closeFirst }: FieldParts): Field {
  const queues: Queue[] = [];
  const directories: string[] = [];
  return {
    mode: stage.mode,
    server,
    async directory() {
      const made = await mkdtemp(join(tmpdir(), 'holdfast-suite-'));
      directories.push(made);
      return made;
    },
    queue({ directory: given, ...options } = {}) {
      if (given === undefined && options.fallback === undefined) {
        throw new TypeError('a scenario says where its jobs wait');
      }
      const fallback = given === undefined ? {} : { fallback: { journal: { directory: given } } };
      const queue = createQueueAdapter({ redis: server, ...fallback, ...options });
      queues.push(queue);
      return queue;
    },
    untilHandled: (topic) =>
      withClient(client(), (asked) =>
        untilTrue(async () => {
          const left = await asked.xlen(`holdfast:{${topic}}:jobs`).catch(() => undefined);
          return left === 0;
        }),
      ),
    async close() {
      await Promise.allSettled(queues.map((queue) => queue.close({ deadlineMs: 1_000 })));
      await closeFirst?.();
      await stage.close();
      await Promise.all(directories.map((made) => rm(made, { recursive: true, force: true })));
    },
  };
}

/** Says something to a server beside the queue. */
export async function withClient<C extends Redis | Cluster, T>(
  client: C,
  say: (client: C) => Promise<T>,
): Promise<T> {
  client.on('error', () => undefined);
  try {
    return await say(client);
  } finally {
    client.disconnect();
  }
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
