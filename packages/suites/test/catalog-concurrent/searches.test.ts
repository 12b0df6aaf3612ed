import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import type { Backup, Catalog, CatalogQuery } from '@holdfast/catalog';
import { environment, nextEvent, seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { catalogScenario } from '../../src/catalog/catalog-scenario.ts';
import { type Tiers, type TiersFixture, openTiersFixture } from '../../src/catalog/tiers.ts';

/** More than are indexed in the thread of the searches. */
const ROWS = 1_500;
const CLIENTS = 50;
/** Generations that come while the clients search; `HOLDFAST_RUNS=100` for a long run. */
const GENERATIONS = Number(environment['HOLDFAST_RUNS'] ?? 4);
/** Of each client, between its searches. */
const PAUSE_MS = 10;
const PATIENT = { apiMs: 60_000, cacheMs: 10_000, databaseMs: 10_000 };

let fixture: TiersFixture;
let tiers: Tiers;
let backup: Backup;
let opened: Catalog[] = [];

beforeAll(async () => {
  fixture = await openTiersFixture();
}, STAGE_OPEN_TIMEOUT_MS);
afterAll(() => fixture.close());
beforeEach(() => {
  fixture.renew();
  backup = fixture.backup(fixture.directory());
  tiers = fixture.tiers({ lock: 'redis', backup });
  serve(1);
});
afterEach(async () => {
  for (const catalog of opened.splice(0)) await catalog.close();
  await fixture.closeTiers();
});

function open(options: Parameters<TiersFixture['catalog']>[1] = {}): Catalog {
  const catalog = fixture.catalog(tiers, { backup, deadlines: PATIENT, ...options });
  opened.push(catalog);
  return catalog;
}

/** The API has a catalog whose prices and sizes tell its revision. */
function serve(revision: number): void {
  const bundles = Array.from({ length: ROWS + revision }, (_, row) => ({
    name: `esim_${row}_V2`,
    description: `eSIM ${row}`,
    duration: 1 + (row % 30),
    dataAmount: 1_000 + row,
    unlimited: false,
    price: revision,
    groups: [`Group ${row % 3}`],
    countries: [{ name: 'Andorra', region: 'Europe', iso: 'AD' }],
  }));
  fixture.api.change({ bundles });
}

interface Seen {
  answers: number;
  torn: number;
  wentBack: number;
  readonly generations: Set<number>;
  readonly serviceMs: number[];
}

/** A client that searches until it is stopped; answers that are of no one revision are torn. */
async function searchUntil(
  catalog: Catalog,
  stop: AbortSignal,
  seen: Seen,
  seed: number,
): Promise<void> {
  const random = seededRandom(seed);
  let last = 0;
  while (!stop.aborted) {
    const query: CatalogQuery = {
      sort: random() < 0.5 ? 'name' : 'price',
      offset: Math.floor(random() * ROWS),
      facets: ['country'],
    };
    const startedMs = systemClock.now();
    const { total, rows, facets, origin } = await catalog.search(query);
    seen.serviceMs.push(systemClock.now() - startedMs);
    const prices = new Set(rows.map(({ price }) => price));
    const [price = total - ROWS] = prices;
    const isWhole =
      prices.size <= 1 && total === ROWS + price && facets.country?.[0]?.count === total;
    if (!isWhole) seen.torn += 1;
    if (origin.generation < last) seen.wentBack += 1;
    last = origin.generation;
    seen.answers += 1;
    seen.generations.add(origin.generation);
    await sleep(systemClock, PAUSE_MS);
  }
}

/** What the clients saw while `work` ran. */
async function searchDuring(catalog: Catalog, work: () => Promise<void>): Promise<Seen> {
  const seen: Seen = { answers: 0, torn: 0, wentBack: 0, generations: new Set(), serviceMs: [] };
  const stop = new AbortController();
  const clients = Array.from({ length: CLIENTS }, (_, seed) =>
    searchUntil(catalog, stop.signal, seen, seed),
  );
  try {
    await work();
  } finally {
    stop.abort();
    await Promise.all(clients);
  }
  return seen;
}

function measured({ answers, torn, serviceMs }: Seen) {
  const sorted = serviceMs.toSorted((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  return {
    accepted: answers,
    delivered: answers,
    lost: torn,
    note: `${answers} answers, p99 ${p99.toFixed(2)} ms`,
  };
}

const scenario = (
  promise: string,
  fault: string,
  run: Parameters<typeof catalogScenario>[3],
): void => catalogScenario('catalog-concurrent', () => fixture.mode, { promise, fault }, run);

scenario(
  'while syncs publish generation after generation, 50 clients get whole answers of one generation each',
  'none',
  async () => {
    const catalog = open();
    await catalog.refresh();
    const seen = await searchDuring(catalog, async () => {
      for (let revision = 2; revision < 2 + GENERATIONS; revision += 1) {
        serve(revision);
        await catalog.sync();
      }
    });
    expect([seen.torn, seen.wentBack]).toEqual([0, 0]);
    expect(seen.generations.size).toBeGreaterThan(GENERATIONS / 2);
    return measured(seen);
  },
);

scenario(
  'while the index is rebuilt from what other processes publish, 50 clients get whole answers, and documents that fit',
  'none',
  async () => {
    const writer = open();
    await writer.refresh();
    const reader = fixture.catalog(fixture.tiers({ lock: 'redis', backup }), {
      pollEveryMs: 20,
      deadlines: PATIENT,
      retry: { initialDelayMs: 60_000, maxDelayMs: 60_000 },
    });
    opened.unshift(reader);
    await reader.refresh();
    let documents = 0;
    const seen = await searchDuring(reader, async () => {
      for (let revision = 2; revision < 2 + GENERATIONS; revision += 1) {
        serve(revision);
        const before = reader.status().origin?.generation ?? 0;
        // The same one may be served from another tier meanwhile.
        const came = nextEvent(reader, 'served', {
          matches: ({ generation }) => generation > before,
        });
        await writer.sync();
        await came;
        const { bundle, origin } = await reader.get(`esim_${revision}_V2`);
        expect({ price: bundle?.['price'], generation: origin.generation }).toEqual({
          price: revision,
          generation: writer.status().origin?.generation,
        });
        documents += 1;
      }
    });
    expect([seen.torn, seen.wentBack, documents]).toEqual([0, 0, GENERATIONS]);
    return measured(seen);
  },
);
