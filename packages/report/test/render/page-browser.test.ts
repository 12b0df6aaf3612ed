/* oxlint-disable jest/no-standalone-expect, jest/expect-expect, jest/no-disabled-tests -- inBrowser is test, or test.skip where there is no browser */
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { tmpdir } from 'node:os';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { environment } from '@holdfast/foundation';
import { renderPage } from '@holdfast/report';
import { type Browser, type Page, chromium } from 'playwright-core';
import { entryAt } from '../history/sample-history.ts';
import { fullRun } from '../sample.ts';

const executablePath = [
  environment['CHROMIUM_PATH'] ?? '',
  ...(environment['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'chromium')),
].find((path) => path !== '' && isExecutable(path));

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A test that is skipped, with the reason in its name, where there is no browser. */
function inBrowser(name: string, work: () => Promise<void>): void {
  if (executablePath === undefined) {
    // There is no browser; `apt-get install chromium` brings one.
    test.skip(`${name} (no chromium on PATH or CHROMIUM_PATH)`, work);
  } else test(name, work);
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const HOSTILE = '</script><img src=x onerror=alert(1)>';

let browser: Browser | undefined;
let directory = '';
let url = '';
/** What the page complained of, and what it asked the network for. */
const complaints: string[] = [];

beforeAll(async () => {
  if (executablePath === undefined) return;
  directory = mkdtempSync(join(tmpdir(), 'holdfast-page-'));
  const path = join(directory, 'index.html');
  const entries = Array.from({ length: 12 }, (_, index) => entryAt(index));
  const now = entryAt(20, { unsteady: { 'a.test.ts: new': 'failed' } });
  writeFileSync(path, renderPage(fullRun(HOSTILE), { now, entries }));
  url = pathToFileURL(path).href;
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser?.close();
  if (directory !== '') rmSync(directory, { recursive: true, force: true });
});

async function open(width: number, colorScheme: 'light' | 'dark', query = ''): Promise<Page> {
  const context = await browser!.newContext({
    viewport: { width, height: 900 },
    colorScheme,
    offline: true,
    bypassCSP: false,
  });
  const page = await context.newPage();
  complaints.length = 0;
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith('file:')) complaints.push(request.url());
  });
  await page.goto(`${url}${query}`);
  return page;
}

inBrowser(
  'axe finds nothing, and nothing sticks out, on a phone, a tablet and a desktop, light and dark',
  async () => {
    const page = await open(390, 'light');
    // The policy lets no script into the page; what the debugger evaluates is no script of the page.
    await page.evaluate(axe);
    for (const width of [390, 1_024, 1_600]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        const violations = await page.evaluate(
          `axe.run({ resultTypes: ['violations'] }).then(({ violations }) =>
          violations.map(({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(({ html }) => html).join(' ')))`,
        );
        const overflow = await page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        expect({ width, colorScheme, violations, overflow }).toEqual({
          width,
          colorScheme,
          violations: [],
          overflow: 0,
        });
      }
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  },
);

inBrowser('by keyboard alone a cell of the grid filters, and the totals follow', async () => {
  const page = await open(1_024, 'light');
  await page.locator('.cell.lost').first().focus();
  await page.keyboard.press('Enter');
  expect(await page.locator('#filter').inputValue()).toBe('server:"Redis" fault:"killed"');
  expect(await page.locator('#shown').textContent()).toBe(
    '2 of 4 scenarios, 0 of 5 tests, 1 lost or failed',
  );
  await page.keyboard.press('Enter');
  expect(await page.locator('#shown').textContent()).toContain('4 of 4 scenarios');
  await page.context().close();
});

inBrowser('by keyboard alone a column sorts both ways, as numbers, and a row opens', async () => {
  const page = await open(1_024, 'light');
  const header = page.getByRole('button', { name: 'Recovered after' }).first();
  const order = (): Promise<string[]> =>
    page.locator('.family').first().locator('tbody th').allTextContents();
  await header.focus();
  await page.keyboard.press('Enter');
  expect(await order()).toEqual([
    'quick',
    'killed for 3 s under load, appendonly everysec',
    'slow',
  ]);
  expect(await page.locator('[aria-sort=ascending]').count()).toBeGreaterThan(0);
  await page.keyboard.press('Enter');
  expect((await order())[0]).toBe('slow');
  const row = page.getByRole('button', { name: 'quick' });
  expect(await row.getAttribute('aria-expanded')).toBe('false');
  await row.focus();
  await page.keyboard.press('Enter');
  expect(await row.getAttribute('aria-expanded')).toBe('true');
  await page.context().close();
});

inBrowser('a filtered page can be linked to', async () => {
  const page = await open(1_024, 'light', `#${encodeURIComponent('s:failed')}`);
  expect(await page.locator('#shown').textContent()).toMatch(/^1 of 4 scenarios, 2 of 5 tests/);
  await page.context().close();
});
