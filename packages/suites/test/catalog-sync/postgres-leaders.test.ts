import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { FaultProxy } from '@holdfast/faults';
import { environment, propertyOf, seededRandom, systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { Client } from 'pg';
import {
  type PostgresCatalog,
  generationBundles,
  manifestOf,
  openPostgresCatalog,
  publishGeneration,
} from '../../src/catalog/postgres-catalog.ts';
import { readGeneration } from '../../src/catalog/read-generation.ts';
import { scenario } from '../../src/catalog/sync-scenario.ts';
import { waitUntil } from '../../src/wait-until.ts';

/** `HOLDFAST_RUNS=1000` for the published count. */
const RUNS = Number(environment['HOLDFAST_RUNS'] ?? 12);
const FIRST_SEED = Number(environment['HOLDFAST_SEED'] ?? 0);
const AT_A_TIME = 6;
const ROWS = 60;
/** Of the old leader: the server ends its idle transactions after half of it. */
const TIMEOUT_MS = 2_000;

let catalog: PostgresCatalog;
beforeAll(async () => {
  catalog = await openPostgresCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => catalog.reset());
afterAll(() => catalog.close());
const mode = (): PostgresCatalog['mode'] => catalog.mode;

type Store = Awaited<ReturnType<PostgresCatalog['store']>>;

/** How a leader stalls: what it sends arrives late, what it is answered does, or it does nothing for a while. */
const STALLS = ['toServer', 'toClient', 'both', 'pause'] as const;
const STEPS = 5;

function setStall(link: FaultProxy, stall: 'toServer' | 'toClient' | 'both'): void {
  link.faults.set('blackhole', stall === 'both' ? {} : { direction: stall });
}

/** Syncs as a leader that never asks whether it still is one. */
async function lead(store: Store, reached: (step: number) => Promise<void>): Promise<void> {
  await reached(0);
  const staged = await store.stage({ generation: 2, token: 2 });
  await reached(1);
  await staged.add(generationBundles(ROWS, 2).slice(0, 30));
  await reached(2);
  await staged.add(generationBundles(ROWS, 2).slice(30));
  await reached(3);
  const publishing = staged.publish(manifestOf(2, 2, ROWS));
  await reached(4);
  await publishing;
}

/** A later leader begins; the one before may have published a moment ago. */
async function begin(store: Store): Promise<{
  readonly generation: number;
  readonly staged: Awaited<ReturnType<Store['stage']>>;
}> {
  for (;;) {
    const generation = ((await store.current())?.generation ?? 0) + 1;
    try {
      return { generation, staged: await store.stage({ generation, token: 3 }) };
    } catch (error) {
      if (propertyOf(error, 'code') !== 'CATALOG_FENCED') throw error;
    }
  }
}

interface StallRun {
  readonly outcome: 'fenced' | 'failed' | 'published before';
  readonly isStale: boolean;
}

/** What an old leader does after the new one has begun must change nothing. */
async function stallRun(seed: number): Promise<StallRun> {
  const random = seededRandom(seed);
  const stall = STALLS[Math.floor(random() * STALLS.length)] ?? 'pause';
  const stallsAt = Math.floor(random() * STEPS);
  const isThawedFirst = random() < 0.5;
  const prefix = `stall_${seed}`;
  const { proxy, url } = await catalog.proxy();
  const bounds = { timeoutMs: TIMEOUT_MS, publishTimeoutMs: 2 * TIMEOUT_MS };
  const old = await catalog.store('COPY', { url, prefix, ...bounds });
  const store = await catalog.store('COPY', { prefix });
  await publishGeneration(store, 1, { rows: ROWS });
  const [stalled, thawed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const settled = lead(old, async (step) => {
    if (step !== stallsAt) return;
    if (stall !== 'pause') setStall(proxy, stall);
    stalled.resolve();
    if (stall === 'pause') await thawed.promise;
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  // On a busy machine it may have failed before.
  await Promise.race([stalled.promise, settled]);
  const { generation, staged } = await begin(store);
  const before = await store.current();
  const thaw = async (): Promise<unknown> => {
    thawed.resolve();
    await proxy.heal();
    return settled;
  };
  let error: unknown;
  if (isThawedFirst) error = await thaw();
  const between = await store.current();
  await staged.add(generationBundles(ROWS, generation));
  await staged.publish(manifestOf(generation, 3, ROWS));
  if (!isThawedFirst) error = await thaw();
  const served = await readGeneration(store);
  const bundles = generationBundles(ROWS, generation);
  expect(served).toStrictEqual({ generation, bundles });
  const isStale = between?.token !== before?.token;
  if (error === undefined) {
    return { outcome: 'published before', isStale: isStale || before?.token !== 2 };
  }
  return { outcome: propertyOf(error, 'code') === 'CATALOG_FENCED' ? 'fenced' : 'failed', isStale };
}

scenario(
  mode,
  {
    promise:
      'a leader that stalls at any step in Postgres and comes back publishes nothing once another leads',
    fault:
      'its requests or answers are held back, or it does nothing, until another leads or has published',
  },
  async () => {
    const runs: StallRun[] = [];
    for (let from = 0; from < RUNS; from += AT_A_TIME) {
      const count = Math.min(AT_A_TIME, RUNS - from);
      const seeds = Array.from({ length: count }, (_, at) => FIRST_SEED + from + at);
      runs.push(...(await Promise.all(seeds.map((seed) => stallRun(seed)))));
      await catalog.reset();
    }
    expect(runs.filter(({ isStale }) => isStale)).toStrictEqual([]);
    const fenced = runs.filter(({ outcome }) => outcome === 'fenced').length;
    expect(fenced).toBeGreaterThan(0);
    return { accepted: RUNS, lost: 0, note: `${fenced} were fenced; 0 stale publications` };
  },
);

test('a leader that stalls while it holds the fence keeps the others waiting for a bounded time', async () => {
  const { proxy, url } = await catalog.proxy();
  const old = await catalog.store('COPY', { url, timeoutMs: TIMEOUT_MS });
  const store = await catalog.store('COPY');
  await publishGeneration(store, 1);
  const staged = await old.stage({ generation: 2, token: 2 });
  const holder = new Client({ connectionString: catalog.primary.url });
  await holder.connect();
  try {
    // Amid its publication: it has the fence, and waits for this row.
    await holder.query('begin');
    await holder.query(
      `select from ${catalog.prefix}_generations where state = 'staged' for update`,
    );
    const publishing = staged.publish(manifestOf(2, 2, 0)).catch((error: unknown) => error);
    const waits = `select from pg_stat_activity where wait_event_type = 'Lock' and query like 'update%published%'`;
    await waitUntil(async () => (await catalog.ask(waits)).length > 0);
    setStall(proxy, 'both');
    await holder.query('rollback');
    const beganMs = systemClock.now();
    const { staged: next, generation } = await begin(store);
    await next.publish(manifestOf(generation, 3, 0));
    expect(systemClock.now() - beganMs).toBeLessThan(10_000);
    await proxy.heal();
    expect(await publishing).toMatchObject({ name: expect.stringMatching(/^Catalog/) });
    expect(await store.current()).toMatchObject({ generation: 2, token: 3 });
  } finally {
    await holder.end();
  }
});
