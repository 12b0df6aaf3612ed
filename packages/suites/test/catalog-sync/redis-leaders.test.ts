import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { SyncLease } from '@holdfast/catalog';
import type { FaultProxy } from '@holdfast/faults';
import { environment, propertyOf, seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { startLeader } from '../../src/catalog/leader.ts';
import {
  type RedisCatalog,
  catalogBundles,
  manifestFor,
  openRedisCatalog,
  publishGeneration,
} from '../../src/catalog/redis-catalog.ts';
import { readGeneration } from '../../src/catalog/read-generation.ts';
import { scenario } from '../../src/catalog/sync-scenario.ts';
import { waitUntil } from '../../src/wait-until.ts';

/** A tenth by default; `HOLDFAST_RUNS=1000` for all. */
const RUNS = Number(environment['HOLDFAST_RUNS'] ?? 100);
/** Of the first run; the others have the next ones. */
const FIRST_SEED = Number(environment['HOLDFAST_SEED'] ?? 0);
const AT_A_TIME = 25;
/** The answer to taking the lock must come in this time, on a machine that is busy too. */
const STALLED_TTL_MS = 1_000;
const TTL_MS = 100;
const ROWS = 60;

let catalog: RedisCatalog;
beforeAll(async () => {
  catalog = await openRedisCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => catalog.reset());
afterAll(() => catalog.close());
const mode = (): RedisCatalog['mode'] => catalog.mode;

/** How a leader stalls: what it sends arrives late, what it is answered does, or it does nothing for a while. */
const STALLS = ['toServer', 'toClient', 'both', 'pause'] as const;
const STEPS = 5;

interface StallRun {
  /** Of the old leader, after the new one had begun. */
  readonly outcome: 'fenced' | 'failed' | 'published before';
  readonly isStale: boolean;
}

/** What an old leader does after the new one has begun must change nothing. */
async function stallRun(prefix: string, seed: number): Promise<StallRun> {
  const random = seededRandom(seed);
  const stall = STALLS[Math.floor(random() * STALLS.length)] ?? 'pause';
  const stallsAt = Math.floor(random() * STEPS);
  const isThawedFirst = random() < 0.5;
  const [link, lockLink] = [await catalog.link(), await catalog.link()];
  const urlOf = ({ host, port }: FaultProxy): string => `redis://${host}:${port}`;
  const oldStore = catalog.store({ url: urlOf(link), prefix });
  const oldLock = catalog.lock({ url: urlOf(lockLink), prefix, ttlMs: STALLED_TTL_MS });
  const [store, lock] = [catalog.store({ prefix }), catalog.lock({ prefix, ttlMs: 10_000 })];
  await publishGeneration(store, 1, { rows: ROWS });
  const lease = await oldLock.acquire({ above: 1 });
  const thawed = Promise.withResolvers<void>();
  const leading = lead(oldStore, lease.token, async (step) => {
    if (step !== stallsAt) return;
    setStall(lockLink, 'both');
    if (stall !== 'pause') setStall(link, stall);
    else await thawed.promise;
  });
  const settled = leading.then(
    () => undefined,
    (error: unknown) => error,
  );
  const next = await acquireSoon(lock, lease.token);
  expect(next.token).toBeGreaterThan(lease.token);
  const generation = ((await store.current())?.generation ?? 0) + 1;
  const staged = await store.stage({ generation, token: next.token });
  const before = await store.current();
  const thaw = async (): Promise<unknown> => {
    thawed.resolve();
    await Promise.all([link.heal(), lockLink.heal()]);
    return settled;
  };
  let error: unknown;
  if (isThawedFirst) error = await thaw();
  const between = await store.current();
  await staged.add(catalogBundles(ROWS, generation));
  await staged.publish(manifestFor(generation, next.token, ROWS));
  if (!isThawedFirst) error = await thaw();
  const { generation: served, bundles } = await readGeneration(store);
  expect(bundles).toStrictEqual(catalogBundles(ROWS, generation));
  await next.release();
  const isStale = between?.token !== before?.token || served !== generation;
  if (error === undefined)
    return { outcome: 'published before', isStale: isStale || before?.token !== lease.token };
  return { outcome: propertyOf(error, 'code') === 'CATALOG_FENCED' ? 'fenced' : 'failed', isStale };
}

function setStall(link: FaultProxy, stall: 'toServer' | 'toClient' | 'both'): void {
  link.faults.set('blackhole', stall === 'both' ? {} : { direction: stall });
}

/** Syncs as a leader that never asks whether it still is one. */
async function lead(
  store: ReturnType<RedisCatalog['store']>,
  token: number,
  reached: (step: number) => Promise<void>,
): Promise<void> {
  const generation = 2;
  await reached(0);
  const staged = await store.stage({ generation, token });
  await reached(1);
  await staged.add(catalogBundles(ROWS, generation).slice(0, 30));
  await reached(2);
  await staged.add(catalogBundles(ROWS, generation).slice(30));
  await reached(3);
  const publishing = staged.publish(manifestFor(generation, token, ROWS));
  await reached(4);
  await publishing;
}

async function acquireSoon(
  lock: ReturnType<RedisCatalog['lock']>,
  above: number,
): Promise<SyncLease> {
  let lease: SyncLease | undefined;
  await waitUntil(async () => {
    lease = await lock.acquire({ above }).catch((error: unknown) => {
      expect(propertyOf(error, 'code')).toBe('CATALOG_LOCKED');
      return undefined;
    });
    return lease !== undefined;
  });
  if (lease === undefined) throw new TypeError('there is no lease');
  return lease;
}

scenario(
  mode,
  {
    promise: 'a leader that stalls at any step and comes back publishes nothing once another leads',
    fault:
      'its requests or answers are held back, or it does nothing, until another leads or has published',
  },
  async () => {
    const runs: StallRun[] = [];
    for (let from = 0; from < RUNS; from += AT_A_TIME) {
      const seeds = Array.from(
        { length: Math.min(AT_A_TIME, RUNS - from) },
        (_, at) => FIRST_SEED + from + at,
      );
      runs.push(...(await Promise.all(seeds.map((seed) => stallRun(`stall-${seed}`, seed)))));
      await catalog.reset();
    }
    expect(runs.filter(({ isStale }) => isStale)).toStrictEqual([]);
    const fenced = runs.filter(({ outcome }) => outcome === 'fenced').length;
    expect(fenced).toBeGreaterThan(RUNS / 4);
    return { accepted: RUNS, lost: 0, note: `${fenced} were fenced; 0 stale publications` };
  },
);

scenario(
  mode,
  {
    promise:
      'of two leaders in processes of their own, frozen and thawed, tokens and generations only rise',
    fault: 'SIGSTOP of the one that leads for longer than its lease, SIGCONT',
  },
  async () => {
    const { prefix } = catalog;
    const store = catalog.store();
    const options = { url: catalog.redis.url, prefix, ttlMs: TTL_MS };
    const leaders = [startLeader(options), startLeader(options)];
    const random = seededRandom(4);
    let stalls = 0;
    let last = { generation: 0, token: 0 };
    const look = async (): Promise<number> => {
      const { generation = 0, token = 0 } = (await store.current()) ?? {};
      expect(generation).toBeGreaterThanOrEqual(last.generation);
      expect(token).toBeGreaterThanOrEqual(last.token);
      last = { generation, token };
      return generation;
    };
    try {
      await waitUntil(async () => (await look()) > 1);
      for (; stalls < Math.max(5, RUNS / 20); stalls += 1) {
        const [leader, other] = stalls % 2 === 0 ? leaders : leaders.toReversed();
        const seen = leader?.reports.length ?? 0;
        await waitUntil(
          () => leader?.reports.slice(seen).some(({ kind }) => kind === 'leading') === true,
        );
        await sleep(systemClock, random() * 10);
        leader?.stall();
        const published = other?.reports.length ?? 0;
        await waitUntil(async () => {
          await look();
          return other?.reports.slice(published).some(({ kind }) => kind === 'published') === true;
        });
        leader?.thaw();
        await look();
      }
    } finally {
      await Promise.all(leaders.map((leader) => leader.close()));
    }
    await look();
    const reports = leaders.flatMap((leader) => leader.reports);
    const published = reports.filter((report) => report.kind === 'published');
    const generations = published.map(({ generation }) => generation);
    expect(new Set(generations).size).toBe(generations.length);
    const inOrder = published.toSorted((left, right) => left.generation - right.generation);
    const tokens = inOrder.map(({ token }) => token);
    expect(tokens).toStrictEqual(tokens.toSorted((left, right) => left - right));
    const { bundles } = await readGeneration(store);
    expect(bundles).toStrictEqual(catalogBundles(200, last.generation));
    const refused = reports.filter(({ kind }) => kind === 'refused').length;
    return {
      accepted: published.length,
      lost: 0,
      note: `${stalls} stalls, ${refused} late publications refused`,
    };
  },
);

test('a leader that is overtaken is refused at every step, and the generation of the other is whole', async () => {
  const [store, other] = [catalog.store(), catalog.store()];
  await publishGeneration(store, 1);
  const staged = await store.stage({ generation: 2, token: 2 });
  await staged.add(catalogBundles(100, 2));
  const overtaking = await other.stage({ generation: 2, token: 3 });
  await expect(staged.publish(manifestFor(2, 2, 100))).rejects.toMatchObject({
    code: 'CATALOG_FENCED',
    outcome: 'not-applied',
  });
  await expect(store.stage({ generation: 2, token: 2 })).rejects.toMatchObject({
    code: 'CATALOG_FENCED',
  });
  await staged.discard();
  await overtaking.add(catalogBundles(100, 2));
  await overtaking.publish(manifestFor(2, 3, 100));
  for (const place of [
    { generation: 2, token: 3 },
    { generation: 1, token: 9 },
    { generation: 9, token: 2 },
  ]) {
    await expect(store.stage(place)).rejects.toMatchObject({ code: 'CATALOG_FENCED' });
  }
  expect((await readGeneration(store)).bundles).toStrictEqual(catalogBundles(100, 2));
});
