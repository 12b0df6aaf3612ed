/* oxlint-disable jest/no-standalone-expect -- inBrowser is test, or test.skip where there is no browser */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type Browser, type Page, chromium } from 'playwright-core';
import { brokenLinksIn, builtFileOf } from '../src/built-site.ts';
import { sitePathOf, writtenPagesIn } from '../src/pages.ts';
import { linkTo } from '../src/sidebar.ts';
import { executablePath, inBrowser, isBuiltHere, serveSite, whenBuilt } from './browser.ts';

const root = join(import.meta.dirname, '../../..');
const ORIGIN = 'http://docs.test';
const BUILD_TIMEOUT_MS = 300_000;
const PHONE = { width: 390, height: 844 };
const DESK = { width: 1_280, height: 800 };
/** Where to leave pictures of the site, to be looked at. */
const { HOLDFAST_SCREENSHOTS: pictures } = process.env;

const isOfTheApi = (link: string): boolean => link.startsWith('/reference/');

let folder: string;
let browser: Browser | undefined;
let page: Page;
/** What the page complained of. */
const complaints: string[] = [];

beforeAll(async () => {
  if (!isBuiltHere) return;
  folder = mkdtempSync(join(tmpdir(), 'hf-site-'));
  const vitepress = join(root, 'node_modules/vitepress/bin/vitepress.js');
  // The pages of the API are built by `docs:build`: they take longer than all others together.
  await promisify(execFile)(process.execPath, [vitepress, 'build', 'docs', '--outDir', folder], {
    cwd: root,
    env: { ...process.env, HOLDFAST_SITE: 'written', NODE_ENV: 'production' },
  });
  if (executablePath === undefined) return;
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
}, BUILD_TIMEOUT_MS);
afterAll(async () => {
  await browser?.close();
  if (isBuiltHere) rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  complaints.length = 0;
  if (browser === undefined) return;
  page = await browser.newPage({ viewport: DESK });
  page.setDefaultTimeout(30_000);
  page.on('pageerror', (error) => complaints.push(error.message));
  await serveSite(page, ORIGIN, folder);
});
afterEach(async () => {
  if (browser !== undefined) await page.close();
});

async function picture(name: string): Promise<void> {
  if (pictures !== undefined) await page.screenshot({ path: join(pictures, `site-${name}.png`) });
}

/** Whether something is wider than the window, so that it scrolls sideways. */
function scrollsSideways(): Promise<boolean> {
  return page.evaluate('document.documentElement.scrollWidth > window.innerWidth');
}

whenBuilt('every document and every README is a page, and every link and heading is there', () => {
  const sources = writtenPagesIn(root);
  expect(sources.length).toBeGreaterThan(100);
  const missing = sources.filter((source) => {
    const path = sitePathOf(source)?.replace(/\.md$/, '') ?? '';
    return builtFileOf(folder, linkTo(path)) === undefined;
  });
  expect(missing).toEqual([]);
  expect(brokenLinksIn(folder, isOfTheApi)).toEqual([]);
});

test('a link to no page and a link to no heading are reported', () => {
  const built = mkdtempSync(join(tmpdir(), 'hf-built-'));
  mkdirSync(join(built, 'queue'));
  const links = ['/queue/', '/queue/#there', '#own', '/gone', '/queue/#gone', 'https://a.example/'];
  const anchors = links.map((link) => `<a class="x" href="${link}">`).join('');
  writeFileSync(join(built, 'index.html'), `<h1 id="own">${anchors}`);
  writeFileSync(join(built, 'queue/index.html'), '<h2 id="there">');
  try {
    expect(brokenLinksIn(built)).toEqual(['index.html: /gone', 'index.html: /queue/#gone']);
  } finally {
    rmSync(built, { recursive: true });
  }
});

inBrowser('the start page leads to the packages, and nothing goes wrong', async () => {
  await page.goto(`${ORIGIN}/`);
  expect(await page.title()).toContain('Start here');
  await picture('start');
  await page.locator('.vp-doc').getByRole('link', { name: 'queue', exact: true }).click();
  await page.waitForURL(`${ORIGIN}/packages/queue/`);
  await page.getByRole('heading', { level: 1, name: '@holdfast/queue' }).waitFor();
  await picture('queue');
  expect(complaints).toEqual([]);
});

inBrowser('the search finds ECONNREFUSED, and leads to a page that has it', async () => {
  await page.goto(`${ORIGIN}/`);
  await page.locator('#local-search button').click();
  await page.locator('.VPLocalSearchBox input').fill('ECONNREFUSED');
  const first = page.locator('.VPLocalSearchBox .results .result').first();
  await first.waitFor();
  await picture('search');
  await first.click();
  await page.locator('.VPLocalSearchBox').waitFor({ state: 'detached' });
  expect(await page.locator('.vp-doc').innerText()).toContain('ECONNREFUSED');
  expect(complaints).toEqual([]);
});

inBrowser('the site is dark for those who want it, and remembers the choice', async () => {
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.goto(`${ORIGIN}/packages/storage/`);
  const background = (): Promise<string> =>
    page.evaluate('getComputedStyle(document.body).backgroundColor');
  const dark = await background();
  await picture('dark');
  await page.locator('.VPNavBar .VPSwitchAppearance').first().click();
  await page.waitForFunction("!document.documentElement.classList.contains('dark')");
  await page.reload();
  expect(await background()).not.toBe(dark);
});

inBrowser('on a phone nothing scrolls sideways, and the menu opens', async () => {
  await page.setViewportSize(PHONE);
  for (const path of ['/', '/packages/queue/', '/failures/queue', '/results/redis-failover']) {
    await page.goto(ORIGIN + path);
    expect({ path, scrolls: await scrollsSideways() }).toEqual({ path, scrolls: false });
    await picture(`phone${path.replaceAll('/', '-')}`);
  }
  await page.locator('.VPLocalNav .menu').click();
  await page.locator('.VPSidebar.open').waitFor();
  await picture('phone-menu');
  expect(complaints).toEqual([]);
});
