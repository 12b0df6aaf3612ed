/* oxlint-disable jest/no-standalone-expect -- inBrowser is test, or test.skip where there is no browser */
import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import { type Browser, type Page, chromium } from 'playwright-core';
import {
  type Bundle,
  createCatalog,
  createCatalogClient,
  createCatalogSync,
} from '@holdfast/catalog';
import { createCatalogService } from '@holdfast/catalog/service';
import { createEsimGoServer } from '@holdfast/emulators/esim-go';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { createMemoryStore } from '../memory-store.ts';
import { createMemoryLock } from '../sync/memory-lock.ts';
import { executablePath, inBrowser } from './browser.ts';
import { BUNDLES, type Fixture, NoTierError, openFixture } from './fixture.ts';

const HOSTILE = '<img src=x onerror=alert(1)>"\'&lt;script>alert(2)</script>';
const hostile: Bundle = {
  ...(BUNDLES[0] ?? { name: '', duration: 1, dataAmount: 1, unlimited: false, countries: [] }),
  name: HOSTILE,
  price: 0,
  groups: [HOSTILE],
  description: 'hostile',
};

let browser: Browser | undefined;
let fixture: Fixture;
let page: Page;
let url: string;
/** What the page complained of. */
const complaints: string[] = [];

beforeAll(async () => {
  if (executablePath === undefined) return;
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser?.close();
});
beforeEach(async () => {
  fixture = openFixture({ eventIntervalMs: 20 }, [...BUNDLES, hostile]);
  if (browser === undefined) return;
  url = await fixture.service.listen();
  complaints.length = 0;
  page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
});
afterEach(async () => {
  if (browser !== undefined) await page.close();
  await fixture.service.close();
});

const total = (text: string): Promise<unknown> =>
  page.locator('#total', { hasText: text }).waitFor();
const state = (text: string): Promise<unknown> =>
  page.locator('#state', { hasText: text }).waitFor();

inBrowser('the page shows bundles and pages through them', async () => {
  await page.goto(url);
  await total(`1 to 20 of ${BUNDLES.length + 1} bundles`);
  await page.getByRole('button', { name: 'Next' }).click();
  await total('21 to 40');
  await page.getByRole('button', { name: 'Previous' }).click();
  await total('1 to 20');
  expect(await page.locator('#bundles tr').count()).toBe(20);
  expect(complaints).toEqual([]);
});

inBrowser('a search filters, and is in the address, which brings it back', async () => {
  const unlimited = BUNDLES.filter((bundle) => bundle.unlimited);
  await page.goto(url);
  await total('of 301');
  await page.locator('[name=unlimited]').selectOption('yes');
  await total(`of ${unlimited.length} `);
  await page.getByLabel('Price up to').fill('20.5');
  await page.getByRole('button', { name: 'Search' }).click();
  const cheap = unlimited.filter(({ price }) => price <= 20.5);
  await total(`of ${cheap.length} `);
  expect(page.url()).toContain('unlimited=true');
  await page.reload();
  await total(`of ${cheap.length} `);
  expect(await page.getByLabel('Price up to').inputValue()).toBe('20.5');
  expect(complaints).toEqual([]);
});

inBrowser('what is in a bundle is text, whatever it is', async () => {
  await page.goto(`${url}/?text=hostile&group=${encodeURIComponent(HOSTILE)}`);
  await total('1 to 1 of 1');
  expect(await page.locator('#bundles td').first().textContent()).toBe(HOSTILE);
  expect(await page.locator('img, #bundles script').count()).toBe(0);
  expect(complaints).toEqual([]);
});

inBrowser('a script that got into the page all the same does not run', async () => {
  await page.goto(url);
  await total('of 301');
  await page.evaluate(`
    const script = document.createElement('script');
    script.textContent = 'document.title = "taken"';
    document.body.append(script);
  `);
  expect(await page.title()).toBe('Catalog');
  expect(complaints.join()).toContain('Content Security Policy');
});

inBrowser('the state of a sync is followed live', async () => {
  await page.goto(url);
  await state('generation 7 from memory');
  expect(await page.locator('#sync').isVisible()).toBe(false);
  fixture.catalog.state = {
    sync: { phase: 'fetching', pages: 12, reusedPages: 0, rows: 600, expectedRows: 1_200 },
  };
  await page.locator('#phase', { hasText: 'fetching: 600 bundles, 12 pages' }).waitFor();
  expect(await page.locator('#progress').getAttribute('value')).toBe('600');
  fixture.catalog.state = { lastSync: { atEpochMs: 1, durationMs: 2, error: new NoTierError() } };
  fixture.catalog.origin = {
    source: 'backup',
    generation: 8,
    ageMs: 5_000,
    stale: true,
    complete: false,
  };
  await state('generation 8 from backup, 5 s old, stale, incomplete');
  await page.locator('#last', { hasText: 'no tier has an answer' }).waitFor();
  expect(await page.locator('#sync').isVisible()).toBe(false);
});

inBrowser('a real sync is followed from nothing to the first generation', async () => {
  const api = await createEsimGoServer({
    rows: 1_200,
    maxPerPage: 50,
    rateLimit: false,
    latencyMs: 100,
  });
  const { apiKey, baseUrl } = api;
  const cache = createMemoryStore();
  const sync = createCatalogSync({
    client: createCatalogClient({ apiKey, baseUrl, fetch: (to, init) => fetch(to, init) }),
    lock: createMemoryLock(),
    files: createMemoryFileSystem(),
    directory: '/pages',
    stores: [cache],
  });
  const catalog = createCatalog({ api: sync, cache });
  const service = createCatalogService({ catalog, eventIntervalMs: 10 });
  try {
    await page.goto(await service.listen());
    await page.locator('#phase', { hasText: /fetching: [\d,]+ bundles, [1-9]/ }).waitFor();
    await state('generation 1 from api');
    await total('1 to 20 of 1,200 bundles');
    expect(await page.locator('#sync').isVisible()).toBe(false);
  } finally {
    await service.close();
    await catalog.close();
    await sync.close();
    await api.close();
  }
});

inBrowser('a failure is shown, and the answer as soon as there is one', async () => {
  fixture.catalog.origin = undefined;
  fixture.catalog.failure = new NoTierError();
  await page.goto(url);
  await state('nothing is served yet');
  await page.getByRole('alert').filter({ hasText: 'no tier has an answer' }).waitFor();
  fixture.catalog.failure = undefined;
  fixture.catalog.origin = {
    source: 'cache',
    generation: 1,
    ageMs: 0,
    stale: false,
    complete: true,
  };
  await total('of 301');
  expect(await page.locator('#problem').textContent()).toBe('');
});

inBrowser('without a place at the events the page asks for the status', async () => {
  await fixture.service.close();
  fixture = openFixture({ maxEventClients: 0 });
  url = await fixture.service.listen();
  await page.goto(url);
  await state('generation 7 from memory');
});
