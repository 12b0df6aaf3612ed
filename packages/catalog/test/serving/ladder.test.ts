import { describe, expect, test } from '@jest/globals';
import {
  CatalogLockUnavailableError,
  CatalogLockedError,
  CatalogMalformedError,
  CatalogRateLimitedError,
  CatalogServerError,
  CatalogUnauthorizedError,
  CatalogUnavailableError,
  CatalogUnreachableError,
  type Source,
  type TierAttempt,
} from '@holdfast/catalog';
import { type PlaceState, generationOf, never, openServing, outcomeOf } from './fixture.ts';

const failures: Readonly<Record<string, () => Promise<never>>> = {
  'a connection that times out': () =>
    Promise.reject(new CatalogUnreachableError('/catalogue', new Error('ECONNREFUSED'))),
  'an API that hangs': never,
  '429': () => Promise.reject(new CatalogRateLimitedError('/catalogue', 5_000, 5)),
  '500': () => Promise.reject(new CatalogServerError('/catalogue', 500, 'broken')),
  '503': () => Promise.reject(new CatalogServerError('/catalogue', 503, 'busy', 2_000)),
  '401': () => Promise.reject(new CatalogUnauthorizedError('/catalogue', 401, 'no key')),
  '403': () => Promise.reject(new CatalogUnauthorizedError('/catalogue', 403, 'no key')),
  'invalid JSON': () => Promise.reject(new CatalogMalformedError('/catalogue', 'no JSON')),
  'a lock that another process holds': () =>
    Promise.reject(new CatalogLockedError('redis', 10_000)),
  'a lock that does not answer': () =>
    Promise.reject(new CatalogLockUnavailableError('redis', new Error('ECONNREFUSED'))),
};

const states: readonly PlaceState[] = ['ok', 'refused', 'hung', 'empty', 'damaged', 'short'];

interface Cell {
  readonly cache: PlaceState;
  readonly database: PlaceState;
  readonly backup: PlaceState;
}

const cells: readonly Cell[] = states.flatMap((cache) =>
  states.flatMap((database) => states.map((backup) => ({ cache, database, backup }))),
);

const deadlines = { apiMs: 60, cacheMs: 60, databaseMs: 60, backupMs: 60, totalMs: 250 };

/** A catalog that starts while its tiers are so; generation 1 is in each. */
async function startIn(cell: Cell, failure: () => Promise<never>) {
  const fixture = openServing();
  const { clock, sync, cache, database, backup } = fixture;
  outcomeOf(generationOf(1, clock.epochMs()), [cache, database, backup]);
  Object.assign(cache, { state: cell.cache });
  Object.assign(database, { state: cell.database });
  Object.assign(backup, { state: cell.backup });
  sync.next = failure;
  const catalog = fixture.open({ deadlines });
  const startedMs = clock.now();
  const seen = await clock.settle(
    catalog.search().then(
      ({ total, origin }) => ({ total, source: origin.source, generation: origin.generation }),
      (error: unknown) => error,
    ),
  );
  const tookMs = clock.now() - startedMs;
  const fellBack = catalog.status().attempts.map(({ tier }: TierAttempt) => tier);
  await clock.settle(catalog.close());
  return { seen, tookMs, fellBack, pendingTimers: clock.pendingTimers };
}

const tiers = ['cache', 'database', 'backup'] as const;

function expectedIn(cell: Cell): { readonly seen: unknown; readonly fellBack: readonly Source[] } {
  const at = tiers.findIndex((tier) => cell[tier] === 'ok');
  const error: unknown = expect.any(CatalogUnavailableError);
  return {
    seen: at === -1 ? error : { total: 20, source: tiers[at], generation: 1 },
    fellBack: ['api', ...tiers.slice(0, at === -1 ? tiers.length : at)],
  };
}

/** Each failure has every seventh cell, and each begins with another one. */
const rows = Object.keys(failures).map((name, offset) => ({ name, offset }));

describe.each(rows)('after $name', ({ name, offset }) => {
  test('the first whole tier answers, whichever fail and however, or one error lists all', async () => {
    for (const cell of cells.filter((_, at) => at % 7 === offset % 7)) {
      const { tookMs, ...ended } = await startIn(cell, failures[name] ?? never);
      expect({ cell, ...ended }).toEqual({ cell, ...expectedIn(cell), pendingTimers: 0 });
      expect(tookMs).toBeLessThanOrEqual(deadlines.totalMs);
    }
  });
});

test('an API that answers is the tier, and publishes to the others', async () => {
  const { clock, open, cache } = openServing();
  const catalog = open();
  const origin = await clock.settle(catalog.refresh());
  expect(origin).toEqual({ source: 'api', generation: 1, ageMs: 0, stale: false, complete: true });
  expect(cache.published?.manifest.generation).toBe(1);
  expect(catalog.status()).toMatchObject({ attempts: [], lastSync: { error: undefined } });
  await clock.settle(catalog.close());
});

test('an API that is slower than its deadline is served when it is done', async () => {
  const { clock, sync, open, cache } = openServing();
  outcomeOf(generationOf(1, clock.epochMs()), [cache]);
  const { promise, resolve } = Promise.withResolvers<void>();
  sync.next = async () => {
    await promise;
    return outcomeOf(generationOf(2, clock.epochMs()));
  };
  const catalog = open();
  const served: string[] = [];
  catalog.on('served', ({ source, generation }) => served.push(`${source} ${generation}`));
  const { origin } = await clock.settle(catalog.search());
  expect(origin).toMatchObject({ source: 'cache', generation: 1 });
  resolve();
  await clock.advance(1);
  expect((await catalog.search()).rows[0]?.price).toBe(2);
  expect(served).toEqual(['cache 1', 'api 2']);
  expect(sync.runs).toBe(1);
  await clock.settle(catalog.close());
});

test('with nothing anywhere the first sync is waited for, however slow', async () => {
  const { clock, sync, open } = openServing();
  sync.next = async () => {
    await new Promise<void>((resolve) => void clock.schedule(20_000, resolve));
    return outcomeOf(generationOf(1, clock.epochMs()));
  };
  const catalog = open();
  const { origin } = await clock.settle(catalog.search());
  expect(origin).toMatchObject({ source: 'api', generation: 1 });
  await clock.settle(catalog.close());
});

test('with nothing anywhere the first generation of another process is waited for', async () => {
  const { clock, sync, open, cache } = openServing();
  sync.next = () => Promise.reject(new CatalogLockedError('redis', 30_000));
  const catalog = open();
  const searching = catalog.search();
  clock.schedule(5_000, () => outcomeOf(generationOf(7, clock.epochMs()), [cache]));
  const { origin } = await clock.settle(searching);
  expect(origin).toMatchObject({ source: 'cache', generation: 7 });
  expect(clock.now()).toBeLessThan(6_200);
  await clock.settle(catalog.close());
});

test('all tiers together have one deadline, and the error names what was tried until then', async () => {
  const { clock, sync, open, cache, database, backup } = openServing();
  Object.assign(cache, { state: 'hung' });
  Object.assign(database, { state: 'hung' });
  Object.assign(backup, { state: 'hung' });
  sync.next = never;
  const catalog = open({ deadlines: { totalMs: 250 } });
  const startedMs = clock.now();
  const error = await clock.settle(catalog.refresh()).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CatalogUnavailableError);
  expect(clock.now() - startedMs).toBe(250);
  expect(String(error)).toMatch(
    /api after 100 ms: .*\| cache after 100 ms: .*\| database after 50 ms/,
  );
  await clock.settle(catalog.close());
});

test('what is in memory is served before the backup, and says so', async () => {
  const { clock, sync, open, cache, database, backup } = openServing();
  const catalog = open();
  await clock.settle(catalog.refresh());
  sync.next = () => Promise.reject(new CatalogServerError('/catalogue', 500, 'broken'));
  Object.assign(cache, { state: 'refused' });
  Object.assign(database, { state: 'hung' });
  const openedBackups = backup.opened;
  const origin = await clock.settle(catalog.refresh());
  expect(origin).toMatchObject({ source: 'memory', generation: 1 });
  expect(backup.opened).toBe(openedBackups);
  const attempts = catalog.status().attempts.map(({ tier }) => tier);
  expect(attempts).toEqual(['api', 'cache', 'database']);
  await clock.settle(catalog.close());
});

test('the same generation is not read again, and an older one never replaces it', async () => {
  const { clock, sync, open, cache, database } = openServing();
  const catalog = open();
  await clock.settle(catalog.sync());
  await clock.settle(catalog.sync());
  sync.next = () => Promise.reject(new CatalogServerError('/catalogue', 500, 'broken'));
  expect(await clock.settle(catalog.refresh())).toMatchObject({ source: 'cache', generation: 2 });
  outcomeOf(generationOf(1, clock.epochMs()), [cache]);
  Object.assign(database, { state: 'refused' });
  expect(await clock.settle(catalog.refresh())).toMatchObject({ source: 'memory', generation: 2 });
  expect((await catalog.search()).rows[0]?.price).toBe(2);
  expect(String(catalog.status().attempts[1]?.cause)).toMatch('has generation 1, and 2 is served');
  await clock.settle(catalog.close());
});

test('a refused key raises an alert once a sync, and is not tried again until it is due', async () => {
  const { clock, sync, open } = openServing();
  sync.next = failures['401'] ?? never;
  const catalog = open();
  const alerts: unknown[] = [];
  catalog.on('alert', ({ error }) => alerts.push(error));
  await clock.settle(catalog.refresh()).catch(() => undefined);
  await clock.advance(3_600_000);
  expect(alerts).toEqual([expect.any(CatalogUnauthorizedError)]);
  expect(sync.runs).toBe(1);
  await clock.settle(catalog.close());
});

test('a part of a sync that succeeded is served as incomplete, and what failed is tried again', async () => {
  const { clock, sync, open } = openServing();
  const kept = [{ name: 'Standard Fixed', generation: 1, cause: new Error('503') }];
  sync.next = async () => {
    const generation = generationOf(sync.runs, clock.epochMs(), { complete: sync.runs === 3 });
    return outcomeOf(generation, [], sync.runs === 3 ? {} : { keptGroups: kept });
  };
  const catalog = open();
  expect(await clock.settle(catalog.refresh())).toMatchObject({ source: 'api', complete: false });
  await clock.advance(1_000);
  expect(catalog.status().origin).toMatchObject({ generation: 3, complete: true });
  await clock.settle(catalog.close());
});

describe('a tier that missed a generation', () => {
  test('is not served by a new process, whichever tier it is, while another one has the newer', async () => {
    const names = ['cache', 'database', 'backup'] as const;
    for (const behind of names.flatMap((one) => names.map((other) => new Set([one, other])))) {
      for (const hasApi of [false, true]) {
        const { clock, sync, open, ...places } = openServing();
        sync.next = never;
        for (const name of names) {
          outcomeOf(generationOf(behind.has(name) ? 1 : 2, clock.epochMs()), [places[name]]);
        }
        const catalog = open({}, hasApi);
        const { origin } = await clock.settle(catalog.search());
        const source = names.find((name) => !behind.has(name));
        expect({ behind, ...origin }).toMatchObject({ behind, source, generation: 2 });
        await clock.settle(catalog.close());
      }
    }
  });

  test('is passed over by those who serve the older one, at their next poll', async () => {
    const { clock, open, cache, database } = openServing();
    outcomeOf(generationOf(1, clock.epochMs()), [cache, database]);
    const catalog = open({ pollEveryMs: 1_000 }, false);
    expect(await clock.settle(catalog.refresh())).toMatchObject({ source: 'cache', generation: 1 });
    outcomeOf(generationOf(2, clock.epochMs()), [database]);
    await clock.advance(1_100);
    expect((await catalog.search()).origin).toMatchObject({ source: 'database', generation: 2 });
    // Nor does it come back.
    await clock.advance(10_000);
    expect(await clock.settle(catalog.refresh())).toMatchObject({ generation: 2 });
    await clock.settle(catalog.close());
  });

  test('is served where the newer one cannot be read', async () => {
    const { clock, open, cache, database, backup } = openServing();
    outcomeOf(generationOf(1, clock.epochMs()), [cache]);
    outcomeOf(generationOf(2, clock.epochMs()), [database, backup]);
    Object.assign(database, { state: 'damaged' });
    Object.assign(backup, { state: 'short' });
    const catalog = open({}, false);
    const { origin } = await clock.settle(catalog.search());
    expect(origin).toMatchObject({ source: 'cache', generation: 1 });
    expect(catalog.status().attempts.map(({ tier }) => tier)).toEqual(['database', 'backup']);
    await clock.settle(catalog.close());
  });

  test('and a tier that does not say what it has is waited for no longer than the cache may take', async () => {
    const { clock, open, cache, database } = openServing();
    outcomeOf(generationOf(1, clock.epochMs()), [cache]);
    Object.assign(database, { state: 'hung' });
    const catalog = open({ deadlines: { cacheMs: 70 } }, false);
    const startedMs = clock.now();
    const { origin } = await clock.settle(catalog.search());
    expect(origin).toMatchObject({ source: 'cache', generation: 1 });
    expect(clock.now() - startedMs).toBeLessThanOrEqual(70);
    await clock.settle(catalog.close());
  });
});
