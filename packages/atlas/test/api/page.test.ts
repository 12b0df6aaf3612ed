/* oxlint-disable jest/no-standalone-expect -- inBrowser is test, or test.skip where there is no browser */
import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import { type Browser, type Page, chromium } from 'playwright-core';
import { createLookupService } from '@holdfast/atlas';
import { ShadowAtlasAPI } from '@holdfast/atlas/api';
import { polygon, square } from '../districts.ts';
import { executablePath, inBrowser } from './browser.ts';

const HOSTILE = '<img src=x onerror=alert(1)>';
const WIDTHS = [390, 1_024];

let browser: Browser | undefined;
let page: Page;
let api: ShadowAtlasAPI;
let url: string;
/** What the page complained of, and what it asked of others. */
const complaints: string[] = [];

const lookupService = createLookupService([
  {
    state: 'WI',
    layer: 'congressional',
    features: [
      polygon(1, square(-92, 43, 2)),
      polygon(2, square(-90, 43, 2), square(-89.5, 43.5, 0.5).toReversed()),
      { ...polygon(3, square(-88, 43, 2)), properties: { NAME: HOSTILE } },
    ],
  },
  { state: 'WI', layer: 'state_senate', features: [polygon(1, square(-92, 43, 6))] },
]);

beforeAll(async () => {
  if (executablePath === undefined) return;
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser?.close();
});
beforeEach(async () => {
  api = new ShadowAtlasAPI({ lookupService: { ...lookupService }, retry: { initialDelayMs: 1 } });
  if (browser === undefined) return;
  url = await api.listen();
  complaints.length = 0;
  page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const asked = request.url();
    if (!asked.startsWith(url) && !asked.startsWith('data:')) complaints.push(asked);
  });
});
afterEach(async () => {
  if (browser !== undefined) await page.close();
  await api.close();
});

async function find(lat: number, lon: number): Promise<void> {
  await page.getByLabel('Latitude').fill(String(lat));
  await page.getByLabel('Longitude').fill(String(lon));
  await page.getByRole('button', { name: 'Find districts' }).click();
}
const listed = (text: string): Promise<unknown> =>
  page.locator('#districts li', { hasText: text }).first().waitFor();

inBrowser('the map draws the districts, and shows those of a position', async () => {
  await page.goto(url);
  await page.locator('#map path').nth(2).waitFor();
  expect(await page.locator('#map path').count()).toBe(3);
  await find(44, -91);
  await listed('District 1');
  expect(await page.locator('#districts li').count()).toBe(2);
  expect(await page.locator('#map path.found').count()).toBe(1);
  await find(43.75, -89.25);
  await page.locator('#map path.found').waitFor({ state: 'detached' });
  expect(await page.locator('#districts li').allTextContents()).toEqual([
    'District 1WI, state senate',
  ]);
  expect(complaints).toEqual([]);
});

inBrowser('a click on the map asks for the districts there', async () => {
  await page.goto(url);
  await page.locator('#map path').nth(2).waitFor();
  const box = await page.locator('#map').boundingBox();
  await page.mouse.click(
    (box?.x ?? 0) + (box?.width ?? 0) / 2,
    (box?.y ?? 0) + (box?.height ?? 0) / 2,
  );
  await listed('District 1');
  const lat = Number(await page.getByLabel('Latitude').inputValue());
  expect(Math.abs(lat - 46)).toBeLessThan(0.1);
});

inBrowser('what is in a district is text, whatever it is', async () => {
  await page.goto(url);
  await find(44, -87);
  await listed('<img');
  expect(await page.locator('#districts img, #map img').count()).toBe(0);
  expect(complaints).toEqual([]);
});

inBrowser('a failure is shown with its code, and a stale answer with its age', async () => {
  await page.goto(url);
  await find(44, -91);
  await listed('District 1');
  api.lookupService.lookup = async () => {
    throw new Error('Database unavailable');
  };
  await page.getByRole('button', { name: 'Find districts' }).click();
  await page.locator('#stale', { hasText: /^Stale: \d+ s old$/ }).waitFor();
  await find(44.5, -91);
  await page.getByRole('alert').filter({ hasText: 'INTERNAL_ERROR: ' }).waitFor();
  expect(await page.locator('body').textContent()).not.toContain('Database');
});

inBrowser(
  'the page fits a telephone and a desk: nothing is cut off, nothing overlaps',
  async () => {
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 });
      await page.goto(url);
      await find(44, -87);
      await listed('<img');
      const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      expect({ width, overflow: Number(overflow) <= 0 }).toEqual({ width, overflow: true });
      const boxes = await Promise.all(
        ['#map', '#lookup', '.zoom'].map((selector) => page.locator(selector).boundingBox()),
      );
      for (const [at, box] of boxes.entries()) {
        expect(box?.width).toBeGreaterThan(200);
        for (const other of boxes.slice(at + 1)) {
          const isApart =
            (box?.x ?? 0) + (box?.width ?? 0) <= (other?.x ?? 0) ||
            (other?.x ?? 0) + (other?.width ?? 0) <= (box?.x ?? 0) ||
            (box?.y ?? 0) + (box?.height ?? 0) <= (other?.y ?? 0) ||
            (other?.y ?? 0) + (other?.height ?? 0) <= (box?.y ?? 0);
          expect({ width, isApart }).toEqual({ width, isApart: true });
        }
      }
    }
  },
);
