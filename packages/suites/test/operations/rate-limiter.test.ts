import { expect } from '@jest/globals';
import { seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { type DistributedRateLimiter, createDistributedRateLimiter } from '@holdfast/operations';
import { redisRateStore } from '@holdfast/operations/redis';
import { type ServerHandle, openStage } from '@holdfast/stage';
import { Redis } from 'ioredis';
import { scenario } from '../../src/operations/scenario.ts';
import { waitUntil } from '../../src/wait-until.ts';

/** 50 in the full run. */
const INSTANCES = Number(process.env['HOLDFAST_INSTANCES'] ?? 12);
const LIMIT = 240;
const WINDOW_MS = 2_000;
const BURST = 60;
const ASK_EVERY_MS = 5;
const KEY = 'user-7';

class Fleet {
  readonly limiters: readonly DistributedRateLimiter[];
  readonly #clients: readonly Redis[];
  readonly #asking = new AbortController();
  readonly #random = seededRandom(1);
  readonly admittedAtMs: number[] = [];
  slowestMs = 0;

  constructor(redis: ServerHandle) {
    this.#clients = Array.from({ length: INSTANCES }, () => {
      const client = new Redis(redis.url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
      client.on('error', () => {});
      return client;
    });
    this.limiters = this.#clients.map((client) =>
      createDistributedRateLimiter({
        store: redisRateStore({ client, namespace: 'suite' }),
        limit: LIMIT,
        windowMs: WINDOW_MS,
        burst: BURST,
        instances: INSTANCES,
        rejoinEveryMs: 100,
      }),
    );
  }

  get joined(): number {
    return this.limiters.filter((limiter) => limiter.getStats().isStoreUp).length;
  }

  /** Asks for far more than is allowed, until it is closed. */
  async ask(): Promise<void> {
    while (!this.#asking.signal.aborted) {
      const limiter = this.limiters[Math.floor(this.#random() * INSTANCES)];
      const beganMs = systemClock.now();
      void limiter?.consume(KEY).then(({ kind }) => {
        if (kind === 'allowed') this.admittedAtMs.push(systemClock.now());
        this.slowestMs = Math.max(this.slowestMs, systemClock.now() - beganMs);
      });
      await sleep(systemClock, ASK_EVERY_MS / INSTANCES);
    }
  }

  /** Waits until so many more were admitted. */
  async admits(count: number): Promise<void> {
    const enough = this.admittedAtMs.length + count;
    await waitUntil(() => this.admittedAtMs.length >= enough);
  }

  mostInWindow(): number {
    let most = 0;
    let first = 0;
    for (const [last, endMs] of this.admittedAtMs.entries()) {
      while (endMs - (this.admittedAtMs[first] ?? endMs) >= WINDOW_MS) first += 1;
      most = Math.max(most, last - first + 1);
    }
    return most;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#asking.abort();
    for (const limiter of this.limiters) limiter.close();
    for (const client of this.#clients) client.disconnect();
  }
}

const outages: Readonly<Record<string, (redis: ServerHandle, fleet: Fleet) => Promise<void>>> = {
  'killed and started without its data': async (redis, fleet) => {
    await redis.kill();
    await fleet.admits(LIMIT / 2);
    await redis.start();
  },
  'frozen and thawed': async (redis, fleet) => {
    await redis.freeze();
    await fleet.admits(LIMIT / 2);
    await redis.thaw();
  },
  'killed and started twice in a row': async (redis, fleet) => {
    await redis.kill();
    await redis.start();
    await fleet.admits(10);
    await redis.kill();
    await redis.start();
  },
};

for (const [fault, inject] of Object.entries(outages)) {
  scenario(
    {
      promise: `${INSTANCES} instances never admit more than the limit and one burst: Redis ${fault}`,
      fault: `Redis ${fault}, while far more is asked for than is allowed`,
    },
    async (use) => {
      const stage = use(await openStage({ redis: true }));
      const fleet = use(new Fleet(stage.redis));
      const asking = fleet.ask();
      await waitUntil(() => fleet.joined === INSTANCES);
      await fleet.admits(LIMIT);
      await inject(stage.redis, fleet);
      await waitUntil(() => fleet.joined === INSTANCES);
      await fleet.admits(LIMIT);
      const most = fleet.mostInWindow();
      expect(most).toBeLessThanOrEqual(LIMIT + BURST);
      const byStore = fleet.limiters.reduce(
        (sum, limiter) => sum + limiter.getStats().allowed - limiter.getStats().allowedByShare,
        0,
      );
      expect(byStore).toBeGreaterThan(0);
      expect(byStore).toBeLessThan(fleet.admittedAtMs.length);
      await fleet[Symbol.asyncDispose]();
      await asking;
      return { note: `at most ${most} of ${LIMIT} and a burst of ${BURST} in ${WINDOW_MS} ms` };
    },
  );
}

scenario(
  {
    promise: 'a frozen store adds nothing to a call once it is known',
    fault: 'Redis frozen',
  },
  async (use) => {
    const stage = use(await openStage({ redis: true }));
    const fleet = use(new Fleet(stage.redis));
    await waitUntil(() => fleet.joined === INSTANCES);
    await stage.redis.freeze();
    const [limiter] = fleet.limiters;
    if (limiter === undefined) throw new Error('no instance');
    await limiter.consume(KEY);
    const CALLS = 2_000;
    const before = process.cpuUsage();
    const beganMs = systemClock.now();
    for (let call = 0; call < CALLS; call += 1) await limiter.consume(KEY);
    const perCallMs = (systemClock.now() - beganMs) / CALLS;
    const { user, system } = process.cpuUsage(before);
    expect(limiter.getStats().timeouts).toBe(1);
    expect(perCallMs).toBeLessThan(1);
    await stage.redis.thaw();
    const cpuUs = (user + system) / CALLS;
    return { note: `${(perCallMs * 1_000).toFixed(0)} us a call, ${cpuUs.toFixed(0)} us of CPU` };
  },
);

scenario(
  {
    promise: 'Redis holds burst and peak together by its own clock, and keeps no key for good',
    fault: 'none',
  },
  async (use) => {
    const stage = use(await openStage({ redis: true }));
    const client = new Redis(stage.redis.url);
    const store = redisRateStore({ client, namespace: 'exact' });
    await waitUntil(() => client.status === 'ready');
    await store.join(0);
    const slow = 3_600_000;
    const request = {
      key: 'a',
      sustained: { intervalMs: slow, toleranceMs: slow * 10 },
      peak: { intervalMs: 50, toleranceMs: 200 },
      settleMs: 0,
    };
    // It began with nothing to spend: nothing is admitted before one interval, of the slower rate.
    expect(await store.take({ ...request, cost: 1 })).toMatchObject({ kind: 'limited' });
    const quick = { intervalMs: 1, toleranceMs: 100 };
    const spare = { ...request, key: 'b', sustained: quick };
    await waitUntil(async () => (await store.take({ ...spare, cost: 4 })).kind === 'allowed');
    const refused = await store.take({ ...spare, cost: 4 });
    if (refused.kind !== 'limited') throw new Error('the peak admits twice as much');
    expect(refused.retryAfterMs).toBeGreaterThan(0);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(200);
    // Nothing is left behind for good.
    const keys = await client.keys('*');
    expect(keys.toSorted()).toEqual(['{exact}:rate:key:b', '{exact}:rate:store']);
    expect(await client.pttl('{exact}:rate:key:b')).toBeGreaterThan(0);
    client.disconnect();
    return {};
  },
);
