import { once } from 'node:events';
import { type ServerResponse, createServer } from 'node:http';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { InvalidOptionError, systemClock } from '@holdfast/foundation';
import { EsimGoApi } from '../../src/esim-go/api/esim-go-api.ts';
import { parseEsimGoSettings } from '../../src/esim-go/api/options.ts';
import { SyntheticCatalog } from '../../src/esim-go/catalog/synthetic-catalog.ts';
import { createEsimGoHandler } from '../../src/esim-go/http-handler.ts';
import { type ESIMGoDataPlan, TestDataFactory } from '../../src/esim-go.ts';
import { readCatalogFixture } from './fixtures.ts';
import { withEsimGo } from './esim-go-client.ts';

const options = {
  seed: 1,
  rows: 5_148,
  revision: 0,
  changedShare: 0.01,
  roaming: 'absent',
} as const;

function textsOf(
  given: Partial<ConstructorParameters<typeof SyntheticCatalog>[0]>,
): readonly string[] {
  const catalog = new SyntheticCatalog({ ...options, ...given });
  return Array.from(catalog.select({}), (row) => catalog.textOf(row));
}

test('its bundles have the sizes of those of the API', () => {
  const texts = textsOf({ rows: 50_000 });
  const sizes = texts.map((text) => Buffer.byteLength(text)).toSorted((a, b) => a - b);
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  expect(mean).toBeGreaterThan(740);
  expect(mean).toBeLessThan(840);
  expect(sizes[25_000]).toBeGreaterThan(490);
  expect(sizes[25_000]).toBeLessThan(600);
  expect(sizes[49_500]).toBeGreaterThan(5_000);
  const bundles = texts.map((text): ESIMGoDataPlan => JSON.parse(text));
  expect(new Set(bundles.map(({ name }) => name)).size).toBe(50_000);
  const countries = bundles.reduce((sum, bundle) => sum + bundle.countries.length, 0);
  expect(countries / 50_000).toBeCloseTo(6.2, 0);
  expect(bundles.every(({ price }) => price > 0 && Math.round(price * 100) / 100 === price)).toBe(
    true,
  );
});

test('the same seed makes the same bundles, and another one other prices', () => {
  const first = textsOf({ rows: 500 });
  expect(textsOf({ rows: 500 })).toEqual(first);
  expect(
    textsOf({ rows: 500, seed: 2 }).filter((text, at) => text !== first[at]).length,
  ).toBeGreaterThan(400);
});

test('a revision changes the price of a share of the bundles, and nothing else', () => {
  const before = textsOf({});
  const after = textsOf({ revision: 1 });
  const changed = after.filter((text, at) => text !== before[at]);
  expect(changed.length).toBeGreaterThan(5_148 * 0.005);
  expect(changed.length).toBeLessThan(5_148 * 0.015);
  const withoutPrice = (texts: readonly string[]): readonly string[] =>
    texts.map((text) => text.replace(/"price":[^,]+/, ''));
  expect(withoutPrice(after)).toEqual(withoutPrice(before));
  expect(textsOf({ revision: 2, changedShare: 0 })).toEqual(before);
});

test.each([
  ['absent', undefined],
  ['countries', [{ name: 'Algeria', region: 'Africa', iso: 'DZ' }]],
  ['codes', ['DZ']],
  ['boolean', true],
] as const)('roamingEnabled is sent as %s', (roaming, sent) => {
  const [text = ''] = textsOf({ rows: 1, roaming });
  expect(JSON.parse(text).roamingEnabled).toEqual(sent);
});

test('a page of a million bundles is made piece by piece, as fast as its client reads', async () => {
  const settings = { rows: 1_000_000, overMaxPerPage: 'accept', rateLimit: false };
  const api = new EsimGoApi(parseEsimGoSettings('test', settings), systemClock);
  const handler = createEsimGoHandler(api, systemClock);
  const responses: ServerResponse[] = [];
  const server = createServer((message, response) => {
    responses.push(response);
    handler.serve(message, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const client = connect(port, '127.0.0.1').pause();
  const key = `X-API-Key: ${api.settings.apiKey}`;
  client.write(`GET /catalogue?perPage=1000000 HTTP/1.1\r\nHost: emulator\r\n${key}\r\n\r\n`);
  await once(server, 'request');
  try {
    const [response] = responses;
    // Full buffers end the writing, far before 780 MB.
    const isFull = (): boolean => response?.writableNeedDrain === true;
    while (!isFull()) await nextTurn();
    expect(response?.writableLength).toBeLessThan(200_000);
    expect(response?.socket?.bytesWritten).toBeLessThan(100_000_000);
  } finally {
    client.destroy();
    server.close();
    server.closeAllConnections();
  }
});

test('the factory makes the bundles that the emulator sends, the same each time', async () => {
  const all = TestDataFactory.createLargeDataset(300, 7);
  await withEsimGo({ rows: 300, seed: 7 }, async ({ page }) => {
    expect((await page('perPage=300')).bundles).toEqual(all);
  });
  expect(TestDataFactory.createLargeDataset(300, 7)).toEqual(all);
  const bundle = TestDataFactory.createBundle({ price: 3 }, 7);
  expect(bundle).toEqual({ ...TestDataFactory.createBundle({}, 7), price: 3 });
  bundle.countries.length = 0;
  expect(TestDataFactory.createBundle({}, 7).countries.length).toBe(1);
});

test('bundles of a group have names of their own, also in groups that the API does not have', () => {
  const groups = ['Standard Fixed', 'Standard Unlimited Plus', 'Regional Bundles', 'Über'];
  const bundles = groups.flatMap((group) => TestDataFactory.createBundles(500, group));
  expect(new Set(bundles.map(({ name }) => name)).size).toBe(2_000);
  expect(bundles.map((bundle) => bundle.groups)).toEqual(
    groups.flatMap((group) => Array.from({ length: 500 }, () => [group])),
  );
  expect(TestDataFactory.createBundles(0, 'Regional Bundles')).toEqual([]);
  expect(() => TestDataFactory.createBundles(-1, 'Regional Bundles')).toThrow(InvalidOptionError);
  expect(() => TestDataFactory.createLargeDataset(1.5)).toThrow('size must be a whole number');
});

test('a corrupted bundle is no JSON', () => {
  for (const seed of [1, 2, 3]) {
    expect(() => JSON.parse(TestDataFactory.createCorruptedBundle(seed))).toThrow(SyntaxError);
  }
});

test('the bundles among the fixtures are those of the factory', () => {
  expect(readCatalogFixture('bundles.json')).toEqual(TestDataFactory.createLargeDataset(48));
  const groups = new SyntheticCatalog(options).groups;
  expect(readCatalogFixture('groups.json')).toEqual(groups);
});
