/* oxlint-disable jest/no-standalone-expect -- onRealDisk is test, or test.skip where nothing can be mounted */
import { execFile, spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { openJournal } from '../src/index.ts';
import { freshDirectory } from './directory.ts';

const mountable =
  process.platform === 'linux' &&
  spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
// Skipped where nothing can be mounted; the test's name then says so.
const onRealDisk = mountable ? test : test.skip;
const reason = mountable ? '' : ' (skipped: this machine lets nobody mount a tmpfs by unshare -rm)';

onRealDisk(
  `a real disk that fills up refuses, keeps and recovers; read-only it is told${reason}`,
  async () => {
    const directory = await freshDirectory();
    await mkdir(directory);
    const script = fileURLToPath(new URL('full-disk-process.ts', import.meta.url));
    const command = ['-rm', process.execPath, script, directory];
    const { stdout } = await promisify(execFile)('unshare', command);
    const seen: unknown = JSON.parse(stdout);
    expect(seen).toMatchObject({
      refusal: ['JOURNAL_FULL', 'disk'],
      found: [1, 0, 0],
      readOnly: 'JOURNAL_UNAVAILABLE',
    });
    const { kept, readable, after } = Object(seen);
    expect(kept).toBeGreaterThan(350);
    expect([readable, after]).toEqual([kept, kept + 1]);
  },
  20_000,
);

test('a directory without a parent is refused with the remedy, and not created', async () => {
  const directory = join(await freshDirectory(), 'below');
  await expect(openJournal({ directory })).rejects.toMatchObject({
    code: 'JOURNAL_UNAVAILABLE',
    directory,
    message: expect.stringContaining('mount the volume'),
    cause: expect.objectContaining({ code: 'ENOENT' }),
  });
  expect(await readdir(dirname(dirname(directory)))).toEqual([]);
});

test('a file where the directory belongs is refused and left as it is', async () => {
  const directory = await freshDirectory();
  await writeFile(directory, 'mine');
  await expect(openJournal({ directory })).rejects.toMatchObject({
    code: 'JOURNAL_UNAVAILABLE',
    message: expect.stringContaining('is a file'),
  });
});

test('an invalid option is refused with its name', async () => {
  const misspelt: object = { directory: '/nowhere', segmentBites: 1 };
  // @ts-expect-error: what a caller without types may do
  await expect(openJournal(misspelt)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'segmentBites',
  });
  await expect(openJournal({ directory: '/nowhere', segmentBytes: 1 })).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field: 'segmentBytes',
    value: 1,
  });
});

test('a journal keeps and reads over many segments, larger records than one included', async () => {
  const directory = await freshDirectory();
  const settings = { directory, segmentBytes: 4_096 };
  const sizes = Array.from({ length: 200 }, (_, place) => (place % 50 === 7 ? 20_000 : place * 3));
  const journal = await openJournal(settings);
  await Promise.all(sizes.map((size, place) => journal.append(Buffer.alloc(size, place))));
  await journal.close();
  const again = await openJournal(settings);
  const records = await again.read(1, { maxBytes: 10_000_000 });
  expect(records.map(({ payload }) => payload.byteLength)).toEqual(sizes);
  expect(records.every(({ payload }, place) => payload.every((byte) => byte === place))).toBe(true);
  await again.release(200);
  await again.close();
  const left = (await readdir(directory)).filter((name) => name.endsWith('.journal'));
  expect(left).toEqual([]);
});
