import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from '@jest/globals';
import {
  type Backup,
  type Catalog,
  CatalogUnavailableError,
  type GenerationStore,
} from '@holdfast/catalog';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { waitUntil } from '../../src/wait-until.ts';
import { catalogScenario } from '../../src/catalog/catalog-scenario.ts';
import {
  TIER_ROWS,
  type Tiers,
  type TiersFixture,
  openTiersFixture,
} from '../../src/catalog/tiers.ts';

/** So that nothing falls back because the machine is busy. */
const PATIENT = { apiMs: 20_000, cacheMs: 5_000, databaseMs: 5_000 };

let fixture: TiersFixture;
let tiers: Tiers;
let backup: Backup;
/** Closed after the test, before the stores. */
let opened: Catalog[] = [];

beforeAll(async () => {
  fixture = await openTiersFixture();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(() => fixture.close());
beforeEach(() => {
  fixture.renew();
  backup = fixture.backup(fixture.directory());
  tiers = fixture.tiers({ lock: 'redis', cacheMs: 1_000, databaseMs: 1_000, backup });
});
afterEach(async () => {
  for (const catalog of opened.splice(0)) await catalog.close();
  await fixture.closeTiers();
  fixture.api.setFaults([]);
  if (fixture.redis.state === 'frozen') await fixture.redis.thaw();
  if (fixture.redis.state === 'stopped') await fixture.redis.start();
});

function open(options: Parameters<TiersFixture['catalog']>[1] = {}): Catalog {
  const catalog = fixture.catalog(tiers, { backup, deadlines: PATIENT, ...options });
  opened.push(catalog);
  return catalog;
}

/** Generation 1 in all tiers, by another process. */
async function publish(): Promise<number> {
  const { manifest } = await open().sync();
  await opened.pop()?.close();
  return manifest.generation;
}

const scenario = (
  promise: string,
  fault: string,
  run: Parameters<typeof catalogScenario>[3],
): void => catalogScenario('catalog-fallback', () => fixture.mode, { promise, fault }, run);

describe('Catalog Sync Fallback Chain', () => {
  describe('Primary API Success', () => {
    scenario(
      'with a healthy API all tiers get its generation, and it is served',
      'none',
      async () => {
        const catalog = open();
        const events: string[] = [];
        catalog.on('fell-back', ({ tier }) => events.push(tier));
        const { total, origin } = await catalog.search({ limit: 1 });
        expect({ total, ...origin }).toEqual({
          total: TIER_ROWS,
          source: 'api',
          generation: origin.generation,
          ageMs: expect.any(Number),
          stale: false,
          complete: true,
        });
        const places = [tiers.cache, tiers.database, backup];
        for (const place of places) {
          const reader = await place.open();
          expect(reader?.manifest).toMatchObject({
            generation: origin.generation,
            rows: TIER_ROWS,
          });
          await reader?.close();
        }
        expect(events).toEqual([]);
        return {};
      },
    );
  });

  describe('API Failure → Cache Fallback', () => {
    scenario(
      'an API that answers 500 is replaced by the cache at once, and asked again until it is back',
      'API answers 500',
      async () => {
        const generation = await publish();
        fixture.api.setFaults([{ fault: { kind: 'status', status: 500 } }]);
        const catalog = open();
        const { origin } = await catalog.search();
        expect(origin).toMatchObject({ source: 'cache', generation });
        const back = nextEvent(catalog, 'served', { matches: ({ source }) => source === 'api' });
        fixture.api.setFaults([]);
        const healedMs = systemClock.now();
        expect((await back).generation).toBeGreaterThan(generation);
        return { recoveredAfterMs: systemClock.now() - healedMs };
      },
    );

    scenario(
      'a refused key alerts, is not tried again, and the cache answers',
      'API answers 401',
      async () => {
        const generation = await publish();
        fixture.api.setFaults([{ fault: { kind: 'status', status: 401 } }]);
        let polls = 0;
        const { name } = tiers.cache;
        const cache: GenerationStore = {
          name,
          stage: (place, options) => tiers.cache.stage(place, options),
          open: (options) => tiers.cache.open(options),
          current(options) {
            polls += 1;
            return tiers.cache.current(options);
          },
          close: () => Promise.resolve(),
        };
        const retry = { initialDelayMs: 1, maxDelayMs: 1 };
        const catalog = open({ cache, retry, pollEveryMs: 20 });
        const alerts: string[] = [];
        catalog.on('alert', ({ message }) => alerts.push(message));
        const requests = fixture.api.requests().length;
        expect((await catalog.search()).origin).toMatchObject({ source: 'cache', generation });
        await waitUntil(() => polls >= 10);
        expect(alerts).toHaveLength(1);
        expect(fixture.api.requests().length - requests).toBe(1);
        return {};
      },
    );

    scenario(
      'groups that succeed are served with the last good rows of one that fails, which is tried again',
      'API answers 500 for one group',
      async () => {
        await publish();
        const group = (await fixture.client.listGroups())[0] ?? '';
        fixture.api.setFaults([{ group, fault: { kind: 'status', status: 500 } }]);
        const catalog = open();
        const { origin, total } = await catalog.search();
        expect(origin).toMatchObject({ source: 'api', complete: false });
        expect(total).toBe(TIER_ROWS);
        const whole = nextEvent(catalog, 'served', { matches: ({ complete }) => complete });
        fixture.api.setFaults([]);
        const healedMs = systemClock.now();
        expect(await whole).toMatchObject({ source: 'api' });
        return { recoveredAfterMs: systemClock.now() - healedMs };
      },
    );

    scenario(
      'documents come from the database while the cache is gone, and from the backup without both',
      'Redis killed',
      async () => {
        const generation = await publish();
        fixture.api.setFaults([{ fault: { kind: 'status', status: 503 } }]);
        const catalog = open();
        const { rows } = await catalog.search({ limit: 3 });
        const names = rows.map(({ name }) => name);
        const first = await catalog.get(names[0] ?? '');
        expect(first.origin).toMatchObject({ source: 'cache', generation });
        await fixture.redis.kill();
        const second = await catalog.get(names[1] ?? '');
        expect(second.origin).toMatchObject({ source: 'database', generation });
        await fixture.postgres.kill();
        try {
          const third = await catalog.get(names[2] ?? '');
          expect(third.origin).toMatchObject({ source: 'backup', generation });
          expect(third.bundle).toMatchObject({ name: names[2] });
        } finally {
          await fixture.postgres.start();
        }
        return {};
      },
    );
  });

  describe('API + Cache Failure → Backup Fallback', () => {
    scenario(
      'a process that starts without API, Redis and Postgres answers from the backup',
      'API answers 502, Redis frozen, no database',
      async () => {
        const generation = await publish();
        fixture.api.setFaults([{ fault: { kind: 'status', status: 502 } }]);
        await fixture.redis.freeze();
        const { cache, lock } = tiers;
        const catalog = fixture.catalog({ cache, lock }, { backup });
        opened.push(catalog);
        const startedMs = systemClock.now();
        const { origin, total } = await catalog.search();
        const tookMs = systemClock.now() - startedMs;
        expect({ total, ...origin }).toMatchObject({
          total: TIER_ROWS,
          source: 'backup',
          generation,
        });
        return { note: `answered after ${Math.round(tookMs)} ms` };
      },
    );
  });

  describe('Complete Failure → Error Handling', () => {
    scenario(
      'without any tier one error says what was tried, why it failed and how long it took; the first to return serves',
      'API answers 500, Redis killed, no database, no backup',
      async () => {
        const generation = await publish();
        fixture.api.setFaults([{ fault: { kind: 'status', status: 500 } }]);
        await fixture.redis.kill();
        const { cache, lock } = tiers;
        const empty = fixture.backup(fixture.directory());
        const catalog = fixture.catalog({ cache, lock }, { backup: empty });
        opened.push(catalog);
        const error: unknown = await catalog.search().catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(CatalogUnavailableError);
        expect(error).toMatchObject({
          retryable: true,
          attempts: ['api', 'cache', 'backup'].map((tier) => ({
            tier,
            cause: expect.any(Error),
            ms: expect.any(Number),
          })),
        });
        expect(String(error)).toMatch(
          /api after \d+ ms: .*\| cache after \d+ ms: .*\| backup after/,
        );
        const served = nextEvent(catalog, 'served');
        await fixture.redis.start();
        fixture.api.setFaults([]);
        const healedMs = systemClock.now();
        expect((await served).generation).toBeGreaterThanOrEqual(generation);
        return { recoveredAfterMs: systemClock.now() - healedMs };
      },
    );
  });
});
