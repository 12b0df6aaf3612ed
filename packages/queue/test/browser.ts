/* oxlint-disable jest/expect-expect, jest/no-disabled-tests -- it declares the tests of others; a name says why one is skipped */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from '@jest/globals';
import { environment } from '@holdfast/foundation';

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

/** Declares a test that is skipped, with the reason in its name, where there is no browser. */
export function inBrowser(name: string, work: () => Promise<void>): void {
  if (executablePath !== undefined) {
    test(name, work);
    return;
  }
  // There is no browser; `apt-get install chromium` brings one.
  test.skip(`${name} (no chromium on PATH or CHROMIUM_PATH)`, work);
}
