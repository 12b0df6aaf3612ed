import {
  type TieredCache,
  type TieredCacheOptions,
  createTieredCache,
} from '@holdfast/cache/redis';
import { type FaultProxy, createFaultProxy } from '@holdfast/faults';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { type ServerHandle, type StageMode, openStage } from '@holdfast/stage';
import { Redis } from 'ioredis';
import { waitUntil } from '../wait-until.ts';

/** A cache of a process, behind a link of its own. */
export interface FleetNode<T = string> {
  readonly cache: TieredCache<T>;
  readonly link: FaultProxy;
}

type TierOptions = Partial<TieredCacheOptions['redis']>;
type NodeOptions = Omit<TieredCacheOptions, 'redis'> & { redis?: TierOptions };

/** A Redis, and caches that share it. */
export interface CacheServer {
  readonly redis: ServerHandle;
  readonly mode: StageMode;
  readonly admin: Redis;
  /** Opens connected caches with a namespace of their own, unless one is given. */
  open<T = string>(count: number, options?: NodeOptions): Promise<FleetNode<T>[]>;
  pair<T = string>(options?: NodeOptions): Promise<[FleetNode<T>, FleetNode<T>]>;
  /** Closes the caches that were opened since, and leaves a Redis without data and without a bound, for the next test. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

/** For tests in which Redis is not slow: a busy machine is no outage. */
export const PATIENT: TierOptions = { timeoutMs: 10_000 };

/** @param defaults for all caches that name no others. */
export async function openCacheServer(defaults: TierOptions = {}): Promise<CacheServer> {
  const stage = await openStage({ redis: true });
  const { redis } = stage;
  const admin = new Redis(redis.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  admin.on('error', () => undefined);
  const nodes: {
    readonly cache: { close(): Promise<unknown> };
    readonly link: FaultProxy;
    readonly client: Redis;
  }[] = [];
  let namespaces = 0;
  const closeNodes = async (): Promise<void> => {
    const closing = nodes.splice(0);
    await Promise.all(
      closing.map(async ({ cache, link, client }) => {
        await cache.close();
        client.disconnect();
        await link.close();
      }),
    );
  };
  const open = async <T>(
    count: number,
    { redis: tier, ...options }: NodeOptions = {},
  ): Promise<FleetNode<T>[]> => {
    namespaces += 1;
    const namespace = `fleet-${namespaces}`;
    const { host, port } = redis;
    const opened: FleetNode<T>[] = [];
    for (let made = 0; made < count; made += 1) {
      const link = await createFaultProxy({ target: { host, port } });
      const client = new Redis(link.port, link.host, { lazyConnect: true });
      const cache = createTieredCache<T>({
        ...options,
        redis: { client, namespace, ...defaults, ...tier },
      });
      const node = { cache, link, client };
      nodes.push(node);
      opened.push(node);
    }
    await untilConnected(opened);
    return opened;
  };
  return {
    redis,
    mode: stage.mode,
    admin,
    open,
    async pair<T>(options?: NodeOptions) {
      const [first, second] = await open<T>(2, options);
      if (first === undefined || second === undefined)
        throw new TypeError('two caches were to open');
      return [first, second];
    },
    async empty() {
      await closeNodes();
      await admin.config('SET', 'maxmemory', '0');
      await admin.flushall();
    },
    async close() {
      await closeNodes();
      admin.disconnect();
      await stage.close();
    },
  };
}

export function untilConnected(nodes: readonly FleetNode<unknown>[]): Promise<void> {
  return waitUntil(() => nodes.every(({ cache }) => cache.getStats().redis.isConnected));
}

export function untilLost(nodes: readonly FleetNode<unknown>[]): Promise<void> {
  return waitUntil(() => nodes.every(({ cache }) => !cache.getStats().redis.isConnected));
}

/** The milliseconds that work takes, and what it returns. */
export async function timed<T>(work: () => Promise<T>): Promise<{ value: T; tookMs: number }> {
  const beganMs = systemClock.now();
  const value = await work();
  return { value, tookMs: systemClock.now() - beganMs };
}

/** A test waits no longer for what has to come in half a second. */
export const GIVEN_UP_MS = 15_000;

/** Asks until the cache no longer says that its old answer is good; how long that took. */
export async function unmarkedMs(cache: TieredCache<string>, old: string): Promise<number> {
  const beganMs = systemClock.now();
  await waitUntil(() => {
    const answer = cache.peek('key');
    return answer?.value !== old || answer.isStale;
  }, GIVEN_UP_MS);
  return systemClock.now() - beganMs;
}

export function dropOf(cache: TieredCache<string>): Promise<{ reason: string }> {
  return nextEvent(cache, 'dropped', { signal: AbortSignal.timeout(GIVEN_UP_MS) });
}

/** Waits until one cache has seen what another has written. */
export async function untilSeen(
  reader: FleetNode<unknown>,
  writer: FleetNode<unknown>,
): Promise<void> {
  const event = nextEvent(reader.cache, 'invalidated', { matches: ({ tag }) => tag === 'seen' });
  await writer.cache.invalidateTag('seen');
  await event;
}
