import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { propertyOf } from '@holdfast/foundation';
import { retry } from '@holdfast/resilience';
import { createMemoryBackend } from '../../src/backends/memory.ts';
import { createStorage } from '../../src/create-storage.ts';

const PACKAGE = join(import.meta.dirname, '../..');
const PAGE = join(PACKAGE, '../../docs/recipes/one-owner-per-directory.md');
const RUN_WITHIN_MS = 30_000;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-second-owner-'));
});
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }));

test('a second storage on the directory reads, is refused writes by an error with the recipe, and writes after the first has closed', async () => {
  const primary = createMemoryBackend({ name: 'primary' });
  const options = { backends: [primary], journal: { directory: join(folder, 'journal') } };
  const first = createStorage(options);
  await first.upload('kept', 'bytes');
  await first.flush();
  const second = createStorage(options);
  await expect(second.upload('a', 'b')).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
    outcome: 'not-applied',
    message: expect.stringMatching(/open in this process already.*globalThis\.adapter \?\?=/),
  });
  const kept = await (await second.download('kept')).bytes();
  expect(Buffer.from(kept).toString()).toBe('bytes');
  await first.close();
  // An opening that was begun before may still find the first one.
  const isLocked = (error: unknown): boolean => propertyOf(error, 'code') === 'JOURNAL_LOCKED';
  const uploaded = retry(() => second.upload('a', 'b'), {
    maxAttempts: 100,
    initialDelayMs: 10,
    maxDelayMs: 10,
    retryableErrors: isLocked,
  });
  await expect(uploaded).resolves.toBeDefined();
  await second.close();
});

test('a module that is loaded twice in one process shares its storage by the recipe of the page', async () => {
  await mkdir(join(folder, 'node_modules/@holdfast'), { recursive: true });
  await symlink(PACKAGE, join(folder, 'node_modules/@holdfast/storage'));
  const [, code = ''] =
    /```js\n(\/\/ files\.mjs\n.*?)```/s.exec(await readFile(PAGE, 'utf8')) ?? [];
  await writeFile(join(folder, 'files.mjs'), code);
  const main = `const first = await import('./files.mjs?1');
    const second = await import('./files.mjs?2');
    await Promise.all([first.files.upload('a', '1'), second.files.upload('b', '2')]);
    console.log(JSON.stringify([first.files === second.files, first === second]));
    await second.files.close();`;
  await writeFile(join(folder, 'main.mjs'), main);
  const env = {
    ...process.env,
    FILES_DIRECTORY: join(folder, 'files'),
    JOURNAL_DIRECTORY: join(folder, 'journal'),
  };
  const run = promisify(execFile)(process.execPath, ['main.mjs'], {
    cwd: folder,
    env,
    timeout: RUN_WITHIN_MS,
  });
  expect((await run).stdout).toBe('[true,false]\n');
});
