import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from '@jest/globals';
import { type Backup, type Catalog, type GenerationManifest } from '@holdfast/catalog';
import { type Clock, nextEvent, systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { waitUntil } from '../../src/wait-until.ts';
import { catalogScenario } from '../../src/catalog/catalog-scenario.ts';
import {
  TIER_ROWS,
  type Tiers,
  type TiersFixture,
  openTiersFixture,
} from '../../src/catalog/tiers.ts';

const DAY_MS = 86_400_000;
const PATIENT = { apiMs: 20_000, cacheMs: 5_000, databaseMs: 5_000 };

let fixture: TiersFixture;
let tiers: Tiers;
let backup: Backup;
let opened: Catalog[] = [];
/** The wall clock of the catalogs is so much ahead. */
let aheadMs = 0;
const clock: Clock = {
  now: () => systemClock.now(),
  epochMs: () => systemClock.epochMs() + aheadMs,
  schedule: (delayMs, callback, options) => systemClock.schedule(delayMs, callback, options),
};

beforeAll(async () => {
  fixture = await openTiersFixture();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(() => fixture.close());
beforeEach(async () => {
  aheadMs = 0;
  await fixture.admin.flushall();
  fixture.renew();
  backup = fixture.backup(fixture.directory());
  tiers = fixture.tiers({ lock: 'redis', cacheMs: 1_000, backup });
});
afterEach(async () => {
  for (const catalog of opened.splice(0)) await catalog.close();
  await fixture.closeTiers();
  fixture.api.setFaults([]);
  if (fixture.redis.state === 'stopped') await fixture.redis.start();
});

function open(own: Pick<Tiers, 'cache' | 'lock'> = tiers): Catalog {
  const catalog = fixture.catalog(own, { backup, clock, deadlines: PATIENT });
  opened.push(catalog);
  return catalog;
}

async function publish(): Promise<GenerationManifest> {
  const { manifest } = await open().sync();
  await opened.pop()?.close();
  return manifest;
}

const breakApi = (): void => fixture.api.setFaults([{ fault: { kind: 'status', status: 503 } }]);

const scenario = (
  promise: string,
  fault: string,
  run: Parameters<typeof catalogScenario>[3],
): void => catalogScenario('catalog-fallback', () => fixture.mode, { promise, fault }, run);

describe('Cache Invalidation Scenarios', () => {
  scenario('should refresh cache when TTL expires', '31 days pass', async () => {
    const { generation } = await publish();
    const catalog = open();
    breakApi();
    expect((await catalog.search()).origin).toMatchObject({ generation, stale: false });
    fixture.api.setFaults([]);
    aheadMs = 31 * DAY_MS;
    const renewed = nextEvent(catalog, 'served', { matches: ({ source }) => source === 'api' });
    const startedMs = systemClock.now();
    const { origin } = await catalog.search();
    expect(origin).toMatchObject({ generation, stale: true });
    expect(origin.ageMs).toBeGreaterThanOrEqual(31 * DAY_MS);
    const { generation: next } = await renewed;
    expect(next).toBeGreaterThan(generation);
    expect((await catalog.search()).origin).toMatchObject({ generation: next, stale: false });
    expect((await tiers.cache.current())?.generation).toBe(next);
    return { recoveredAfterMs: systemClock.now() - startedMs };
  });

  scenario('should handle cache corruption gracefully', 'chunks in Redis overwritten', async () => {
    const { generation } = await publish();
    breakApi();
    const spoil = async (): Promise<number> => {
      const keys = await fixture.admin.keys('*:c:*');
      for (const key of keys) await fixture.admin.setrange(key, 30, 'damaged');
      return keys.length;
    };
    // Each chunk is rebuilt by itself from the database, with the rows that it had.
    expect(await spoil()).toBe(TIER_ROWS / 20);
    const catalog = open();
    const { origin, rows } = await catalog.search({ limit: TIER_ROWS });
    expect(origin).toMatchObject({ source: 'cache', generation });
    const reader = await tiers.database.open();
    for (const { document, name } of rows) {
      const found = await catalog.get(name);
      expect(found.bundle).toEqual(await reader?.readRow(document));
    }
    await reader?.close();
    // With nothing that could rebuild it the cache is not served, and the backup is.
    await spoil();
    const plain = fixture.bareCache();
    const other = open({ cache: plain, lock: tiers.lock });
    expect((await other.search()).origin).toMatchObject({ source: 'backup', generation });
    return { note: `${TIER_ROWS / 20} chunks rebuilt` };
  });

  scenario('should recover from cache connection loss', 'Redis killed', async () => {
    const { generation } = await publish();
    breakApi();
    const catalog = open();
    expect((await catalog.search()).origin).toMatchObject({ source: 'cache', generation });
    await fixture.redis.kill();
    for (let search = 0; search < 100; search += 1) {
      expect((await catalog.search()).total).toBe(TIER_ROWS);
    }
    const { cache, lock } = tiers;
    const alone = open({ cache, lock });
    expect((await alone.search()).origin).toMatchObject({ source: 'backup', generation });
    // Either of the two processes syncs; the other one finds it in the cache.
    const back = nextEvent(alone, 'served', {
      matches: (origin) => origin.generation > generation,
    });
    await fixture.redis.start();
    fixture.api.setFaults([]);
    const healedMs = systemClock.now();
    expect(['api', 'cache']).toContain((await back).source);
    const recoveredAfterMs = systemClock.now() - healedMs;
    expect((await tiers.cache.current())?.generation).toBeGreaterThan(generation);
    return { recoveredAfterMs };
  });

  scenario(
    'a Redis that comes back without its data gets a generation again, and documents come from it',
    'FLUSHALL',
    async () => {
      const { generation } = await publish();
      const catalog = open();
      await catalog.refresh();
      await fixture.admin.flushall();
      const lostMs = systemClock.now();
      await waitUntil(async () => (await tiers.cache.current()) !== undefined);
      const current = await tiers.cache.current();
      expect(current?.generation).toBeGreaterThan(generation);
      await waitUntil(() => catalog.status().sync === undefined);
      const { rows } = await catalog.search({ limit: 1 });
      expect((await catalog.get(rows[0]?.name ?? '')).origin.source).toBe('cache');
      return { recoveredAfterMs: systemClock.now() - lostMs };
    },
  );

  scenario('should handle concurrent cache operations', '10 processes sync at once', async () => {
    await publish();
    const processes = Array.from({ length: 10 }, () =>
      open(fixture.tiers({ lock: 'redis', cacheMs: 5_000, backup })),
    );
    // Who found the lock held tries again behind its answers.
    const synced = new Set<number>();
    for (const catalog of processes) {
      catalog.on('sync-ended', ({ outcome }) => void synced.add(outcome.manifest.generation));
    }
    const ends = await Promise.allSettled(processes.map((catalog) => catalog.sync()));
    const published = ends.flatMap((end) =>
      end.status === 'fulfilled' ? [end.value.manifest.generation] : [],
    );
    expect(published.length).toBeGreaterThan(0);
    expect(new Set(published).size).toBe(published.length);
    const newest = Math.max(...published);
    for (const place of [tiers.cache, tiers.database, backup]) {
      const reader = await place.open();
      const generation = reader?.manifest.generation ?? 0;
      expect(generation).toBeGreaterThanOrEqual(newest);
      await waitUntil(() => synced.has(generation));
      await reader?.close();
    }
    for (const catalog of processes) {
      const { origin, total } = await catalog.search();
      expect(total).toBe(TIER_ROWS);
      await waitUntil(() => origin.generation < newest || synced.has(origin.generation));
    }
    return { note: `${published.length} synced, ${10 - published.length} found the lock held` };
  });
});
