import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Queue,
  type QueueOptions,
  type RedisServerOptions,
  createQueueAdapter,
} from '@holdfast/queue';
import type { StageMode } from '@holdfast/stage';
import { Cluster, Redis } from 'ioredis';
import { type WaitProgress, waitUntilDone } from './wait-until.ts';

/** The queues and folders of a scenario, for every topology of Redis. */
export interface QueueFixture {
  readonly mode: StageMode;
  /** How a queue reaches Redis. */
  readonly server: RedisServerOptions;
  /** Opens a queue with its journal in `directory`, or with the fallback in the options. */
  queue(options?: Partial<QueueOptions> & { directory?: string }): Queue;
  /** Makes a temporary folder. */
  directory(): Promise<string>;
  /**
   * Resolves once Redis holds no jobs of the topic.
   * @throws Error when jobs are left and none was handled for a minute
   */
  untilHandled(topic: string): Promise<void>;
  /** What the server has printed, where there is one server. */
  readonly log?: () => Promise<string>;
  /** Closes the queues, then the servers, then removes the folders. */
  close(): Promise<void>;
}

interface QueueFixtureDeps {
  readonly stage: { readonly mode: StageMode; close(): Promise<void> };
  readonly server: RedisServerOptions;
  /** A client that locates the server itself. */
  readonly client: () => Redis | Cluster;
  readonly closeFirst?: () => Promise<unknown>;
}

export function openQueueFixture({
  stage,
  server,
  client,
  closeFirst,
}: QueueFixtureDeps): QueueFixture {
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
        throw new TypeError('a scenario needs a directory or a fallback');
      }
      const fallback = given === undefined ? {} : { fallback: { journal: { directory: given } } };
      const queue = createQueueAdapter({ redis: server, ...fallback, ...options });
      queues.push(queue);
      return queue;
    },
    untilHandled: (topic) =>
      withClient(client(), (asked) =>
        waitUntilDone(
          () => handling(asked, `holdfast:{${topic}}:jobs`),
          () => leftIn(asked, `holdfast:{${topic}}:jobs`),
        ),
      ),
    async close() {
      await Promise.allSettled(queues.map((queue) => queue.close({ deadlineMs: 1_000 })));
      await closeFirst?.();
      await stage.close();
      await Promise.all(directories.map((made) => rm(made, { recursive: true, force: true })));
    },
  };
}

/** Runs commands on a server with a client of its own. */
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

/** How many jobs a stream has removed, which is how many were handled, and whether it holds any. */
async function handling(client: Redis | Cluster, stream: string): Promise<WaitProgress> {
  try {
    if ((await client.xlen(stream)) === 0) return { isDone: true, mark: 'empty' };
    const reply = await client.xinfo('STREAM', stream);
    const fields: unknown[] = Array.isArray(reply) ? reply : [];
    const read = (name: string): number => Number(fields[fields.indexOf(name) + 1]);
    return { isDone: false, mark: read('entries-added') - read('length') };
  } catch {
    return { isDone: false, mark: 'no answer' };
  }
}

/** Describes the entries left in a stream and the consumers that hold them. */
async function leftIn(client: Redis | Cluster, stream: string): Promise<string> {
  const [left, groups] = await Promise.all([
    client.xlen(stream),
    client.xinfo('GROUPS', stream),
  ]).catch((error: unknown) => ['?', String(error)]);
  return `${String(left)} jobs in ${stream}, groups ${JSON.stringify(groups)}`;
}
