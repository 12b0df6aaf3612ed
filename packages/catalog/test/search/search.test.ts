import { expect, test } from '@jest/globals';
import {
  type Bundle,
  type CatalogIndex,
  IndexBuilder,
  InvalidQueryError,
  openIndex,
} from '@holdfast/catalog';
import { derivedSeed, seededRandom } from '@holdfast/foundation';
import { arrayScan } from './array-scan.ts';
import { HOSTILE, hostileBundles, pick, randomQuery, realisticBundles } from './bundles.ts';

const SEED = 20_261_130;

function oneBundle(): Bundle {
  const [bundle] = realisticBundles(1, SEED);
  if (bundle === undefined) throw new Error('there is one');
  return bundle;
}

function indexOf(bundles: readonly Bundle[], batchSize = 100): CatalogIndex {
  const builder = new IndexBuilder({ maxBytes: 512 * 1_048_576 });
  for (let at = 0; at < bundles.length; at += batchSize) {
    builder.add(bundles.slice(at, at + batchSize));
  }
  return openIndex(builder.finish().buffers);
}

/** Compares many answers; what differs is printed with its seed. Returns how many queries found something. */
function compare(
  bundles: readonly Bundle[],
  seed: number,
  queries: number,
  index: CatalogIndex = indexOf(bundles),
): number {
  const random = seededRandom(seed);
  const scan = arrayScan(bundles);
  let found = 0;
  for (let run = 0; run < queries; run += 1) {
    const query = randomQuery(bundles, random);
    const answer = index.search(query);
    expect({ seed, query, answer }).toEqual({ seed, query, answer: scan(query) });
    if (answer.total > 0) found += 1;
  }
  return found;
}

test(`every query has the answer of a scan over all, of which many are hostile (seed ${SEED})`, () => {
  let found = 0;
  for (let story = 0; story < 40; story += 1) {
    const seed = derivedSeed(SEED, story);
    const random = seededRandom(seed);
    found += compare(hostileBundles(Math.floor(random() ** 2 * 300), random), seed, 50);
  }
  expect(found).toBeGreaterThan(1_000);
});

test(`every query has the answer of a scan over bundles as the API has them (seed ${SEED})`, () => {
  expect(compare(realisticBundles(1_500, SEED), SEED, 150)).toBeGreaterThan(60);
});

test('all pages of a result are the whole result, each bundle once, in every order', () => {
  const bundles = hostileBundles(700, seededRandom(SEED));
  const index = indexOf(bundles);
  const scan = arrayScan(bundles);
  for (const sort of ['price', 'dataAmount', 'duration', 'name'] as const) {
    for (const direction of ['ascending', 'descending'] as const) {
      const query = { sort, direction, maxPrice: 1, limit: 7 };
      const all = scan({ ...query, limit: 1_000 }).rows;
      const pages = Array.from(
        { length: Math.ceil(all.length / 7) + 1 },
        (_, page) => index.search({ ...query, offset: page * 7 }).rows,
      );
      expect(pages.flat()).toEqual(all);
      expect(pages.at(-1)).toEqual([]);
    }
  }
});

test('every bundle is found by its name, and no other name finds one', () => {
  const bundles = hostileBundles(500, seededRandom(SEED)).concat(realisticBundles(500, SEED));
  const index = indexOf(bundles);
  const scan = arrayScan(bundles);
  const rows = scan({ limit: 2_000 }).rows;
  for (const row of rows) expect(index.find(row.name)).toEqual(row);
  const names = new Set(rows.map(({ name }) => name));
  const others = [...names].flatMap((name) => [`${name}x`, name.slice(0, -1), name.toUpperCase()]);
  for (const name of others.filter((other) => !names.has(other))) {
    expect(index.find(name)).toBeUndefined();
  }
  // Both halves of surrogate pairs, alone, are names of their own.
  expect(index.find(HOSTILE[5])?.name).toBe('\ud800');
  expect(index.find(HOSTILE[7])?.name).toBe('\ufffd');
});

test('a query and a name of the wrong kind are refused by the index itself', () => {
  const index = indexOf(realisticBundles(10, SEED));
  expect(() => index.search({ minPrice: Number.NaN })).toThrow(InvalidQueryError);
  expect(() => index.search({ minPrice: 2, maxPrice: 1 })).toThrow('at most maxPrice');
  const misspelled: object = { limitt: 5 };
  expect(() => index.search(misspelled)).toThrow('limitt');
  const find = (name: string): unknown => index.find(name);
  expect(() => Reflect.apply(find, undefined, [7])).toThrow(InvalidQueryError);
});

test('the same bundles make the same bytes, however they are batched', () => {
  const bundles = hostileBundles(400, seededRandom(SEED));
  const built = [1, 7, 400].map((size) => {
    const builder = new IndexBuilder({ maxBytes: 64 * 1_048_576 });
    for (let at = 0; at < bundles.length; at += size) builder.add(bundles.slice(at, at + size));
    return builder.finish();
  });
  expect(built[1]).toEqual(built[0]);
  expect(built[2]).toEqual(built[0]);
});

test('of bundles with one name, the last that came counts', () => {
  const [first, second] = realisticBundles(2, SEED);
  if (first === undefined || second === undefined) throw new Error('there are two');
  const builder = new IndexBuilder({ maxBytes: 1_048_576 });
  builder.add([{ ...first, price: 1 }, second]);
  builder.add([{ ...first, price: 2, groups: ['new'] }]);
  const { buffers, rows, duplicates } = builder.finish();
  const index = openIndex(buffers);
  expect({ rows, duplicates }).toEqual({ rows: 2, duplicates: 1 });
  expect(index.find(first.name)).toMatchObject({ price: 2, document: 2, groups: ['new'] });
  expect(index.search({ maxPrice: 1 }).total).toBe(second.price <= 1 ? 1 : 0);
});

const withPriceFive = (bundle: Bundle): Bundle => ({ ...bundle, price: 5 });

test('thousands of bundles of one price come in the order of their names', () => {
  const bundles = realisticBundles(3_000, SEED).map(withPriceFive);
  const index = indexOf(bundles.toReversed());
  const names = bundles.map(({ name }) => name).toSorted();
  for (const direction of ['ascending', 'descending'] as const) {
    const { rows } = index.search({ direction, offset: 1_000, limit: 1_000 });
    expect(rows.map(({ name }) => name)).toEqual(names.slice(1_000, 2_000));
  }
  expect(index.search({ minPrice: 5, maxPrice: 5 }).total).toBe(3_000);
  expect(index.search({ minPrice: 5.000_000_1 }).total).toBe(0);
  expect(index.search({ maxPrice: 4.999_999_9 }).total).toBe(0);
});

test('an unlimited bundle has more than any amount, whatever the API says it has', () => {
  const base = oneBundle();
  const amounts = [
    ['a', -1, true],
    ['b', 0, true],
    ['c', 9_007_199_254_740_991, false],
    ['d', 1_000, false],
    ['e', 2_000, true],
  ] as const;
  const withAmount = ([name, dataAmount, unlimited]: (typeof amounts)[number]): Bundle => ({
    ...base,
    name,
    dataAmount,
    unlimited,
  });
  const index = indexOf(amounts.map(withAmount));
  const named = (query: Parameters<CatalogIndex['search']>[0]): string =>
    index
      .search({ sort: 'dataAmount', ...query })
      .rows.map(({ name }) => name)
      .join('');
  expect(named({})).toBe('dcabe');
  expect(named({ direction: 'descending' })).toBe('abecd');
  expect(named({ minDataMb: Number.MAX_SAFE_INTEGER })).toBe('cabe');
  expect(named({ maxDataMb: Number.MAX_SAFE_INTEGER })).toBe('dc');
  expect(named({ minDataMb: 1_500, unlimited: true })).toBe('abe');
  expect(named({ minDataMb: 1_500, unlimited: false })).toBe('c');
  expect(named({ maxDataMb: 1_500, unlimited: true })).toBe('');
  expect(index.find('a')).toMatchObject({ dataAmount: -1, unlimited: true });
  expect(index.search({ facets: ['unlimited'] }).facets.unlimited).toEqual([
    { value: 'true', count: 3 },
    { value: 'false', count: 2 },
  ]);
});

test('words are found without case and accents, by their beginnings, in any order', () => {
  const base = oneBundle();
  const described = [
    'Curaçao und Österreich',
    'Türkiye, İzmir',
    'ΟΔΟΣ ΟΔΟΣΑ',
    '日本語 5G',
    'x'.repeat(70),
  ];
  const withText = (description: string, at: number): Bundle => ({
    ...base,
    name: `n${at}`,
    description,
    countries: [],
  });
  const index = indexOf(described.map(withText));
  const named = (text: string): string =>
    index
      .search({ text, sort: 'name' })
      .rows.map(({ name }) => name)
      .join('');
  expect(named('curacao')).toBe('n0');
  expect(named('OSTER cura')).toBe('n0');
  expect(named('urac')).toBe('');
  expect(named('turk izmir')).toBe('n1');
  expect(named('οδοσ')).toBe('n2');
  expect(named('日本')).toBe('n3');
  expect(named(`${'x'.repeat(64)}y`)).toBe('n4');
  expect(named('')).toBe('n0n1n2n3n4');
  expect(named('?! --')).toBe('n0n1n2n3n4');
  expect(named('n')).toBe('n0n1n2n3n4');
});

test('more values and names than 16 bits can number are told apart', () => {
  const count = 70_000;
  const index = indexOf(
    Array.from({ length: count }, (_, at) => ({
      name: `n${String(at).padStart(6, '0')}`,
      price: (at * 7_919) % count,
      dataAmount: count - at,
      duration: at,
      unlimited: false,
      groups: [`g${at}`],
      countries: [],
    })),
    1_000,
  );
  for (const at of [0, 1, 255, 256, 65_535, 65_536, 65_537, count - 1]) {
    const row = index.find(`n${String(at).padStart(6, '0')}`);
    const values = { price: (at * 7_919) % count, dataAmount: count - at, duration: at };
    expect(row).toMatchObject({ document: at, groups: [`g${at}`], ...values });
    expect(index.search({ group: `g${at}` })).toEqual({ total: 1, rows: [row], facets: {} });
    expect(index.search({ minPrice: values.price }).rows[0]).toEqual(row);
    expect(index.search({ sort: 'duration', offset: at }).rows[0]).toEqual(row);
    expect(index.search({ maxDataMb: count - at }).total).toBe(count - at);
    expect(index.search({ text: row?.name ?? '' }).rows).toEqual([row]);
  }
});

test('with 50 000 bundles, an index takes at most 85 bytes for each beside the documents', () => {
  const bundles = realisticBundles(50_000, SEED);
  const index = indexOf(bundles, 500);
  expect(index.rows).toBe(50_000);
  expect(index.bytes / index.rows).toBeLessThanOrEqual(85);
  // So that the bundles are as many, as different and in as many countries as the API's.
  const countries = bundles.reduce((sum, bundle) => sum + bundle.countries.length, 0);
  expect(countries / bundles.length).toBeGreaterThan(5);
  expect(index.bytes / index.rows).toBeGreaterThan(40);
});

test('where nothing repeats, an index takes at most twice as much, and answers as exactly', () => {
  const random = seededRandom(SEED);
  const unlike = (bundle: Bundle, at: number): Bundle => ({
    ...bundle,
    price: random() * 100,
    dataAmount: bundle.unlimited ? -1 : random() * 1e6,
    duration: Math.floor(random() * 1e6),
    groups: [`group ${at}`],
    countries: pick(random, [bundle.countries, bundle.countries.slice(1)]),
  });
  const bundles = realisticBundles(5_000, SEED).map(unlike);
  const index = indexOf(bundles, 1_000);
  expect(index.bytes / index.rows).toBeLessThanOrEqual(170);
  expect(compare(bundles, SEED, 20, index)).toBeGreaterThan(5);
});
