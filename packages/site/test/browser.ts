/* oxlint-disable jest/expect-expect, jest/no-disabled-tests -- it declares the tests of others; a name says why one is skipped */
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, extname, join } from 'node:path';
import { test } from '@jest/globals';
import { environment } from '@holdfast/foundation';
import type { Page } from 'playwright-core';
import { builtFileOf } from '../src/built-site.ts';

/** `CHROMIUM_PATH`, or the browser on PATH. */
export const executablePath: string | undefined = [
  environment['CHROMIUM_PATH'] ?? '',
  ...(environment['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) =>
      ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(folder, name)),
    ),
].find((path) => path !== '' && isExecutable(path));

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The site is built by one version of Node, that of the workspace: it is the same by every other. */
const NODE = '24';
export const isBuiltHere: boolean = process.versions.node.startsWith(`${NODE}.`);

/** Declares a test of the built site, which is skipped where the site is not built. */
export function whenBuilt(name: string, work: () => void | Promise<void>): void {
  if (isBuiltHere) test(name, work);
  // Another version of Node runs the tests; that of the workspace builds the site.
  else test.skip(`${name} (the site is built on Node ${NODE})`, work);
}

/** Declares a test that is skipped, with the reason in its name, where there is no browser. */
export function inBrowser(name: string, work: () => Promise<void>): void {
  if (executablePath !== undefined) {
    whenBuilt(name, work);
    return;
  }
  // There is no browser; `apt-get install chromium` brings one.
  test.skip(`${name} (no chromium on PATH or CHROMIUM_PATH)`, work);
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
};

/** Answers the page's requests from the built site, without a server; any other address is refused. */
export async function serveSite(page: Page, origin: string, folder: string): Promise<void> {
  await page.route('**/*', async (route) => {
    const { origin: asked, pathname } = new URL(route.request().url());
    const file = asked === origin ? builtFileOf(folder, pathname) : undefined;
    if (file === undefined) {
      await route.abort();
      return;
    }
    const contentType = types[extname(file)] ?? 'application/octet-stream';
    await route.fulfill({ body: readFileSync(file), contentType });
  });
}
