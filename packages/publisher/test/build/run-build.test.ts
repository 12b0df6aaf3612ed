import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import type { BuildOutcome } from '../../src/build/build-outcome.ts';
import { type BuildOptions, runBuild } from '../../src/build/run-build.ts';
import { temporary } from '../temporary.ts';

const PAGE = '<html><body>hello</body></html>';
const MIB = 1_048_576;
const ENDED_WITHIN_MS = 5_000;
const POLL_MS = 10;

/** It was killed: it ends soon, even on a busy machine, and may be a zombie that does nothing any more. */
async function expectEnded(pid: string): Promise<void> {
  const isEnded = (): boolean => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(' Z ');
    } catch {
      return true;
    }
  };
  const giveUpMs = systemClock.now() + ENDED_WITHIN_MS;
  while (!isEnded() && systemClock.now() < giveUpMs) await sleep(systemClock, POLL_MS);
  expect(isEnded()).toBe(true);
}

/** Runs a script as a build; `out` is its directory. */
async function built(script: string, options: Partial<BuildOptions> = {}): Promise<BuildOutcome> {
  const sourceDirectory = await temporary();
  await writeFile(join(sourceDirectory, 'page.html'), PAGE);
  const code = `const fs = require('node:fs'), out = process.argv[1]; ${script}`;
  return runBuild(
    { command: process.execPath, args: ['-e', code, '{output}'], ...options },
    { sourceDirectory, outputDirectory: join(await temporary(), 'out'), clock: systemClock },
  );
}

const WRITE = `fs.writeFileSync(out + '/index.html', fs.readFileSync('page.html'));`;

test('a build that ends with 0 and whole pages is verified; a warning of it is kept', async () => {
  const outcome = await built(`${WRITE} console.log('[WARN] an image is large');`);
  expect(outcome).toMatchObject({
    kind: 'built',
    build: { files: [{ path: 'index.html' }], warnings: [{ text: '[WARN] an image is large' }] },
  });
});

test('a build that fails is refused, however complete its output looks', async () => {
  expect(await built(`${WRITE} process.exitCode = 1;`)).toMatchObject({
    kind: 'failed',
    failure: { kind: 'exit', code: 1 },
  });
});

test.each([
  ['no page', '', 'files are missing'],
  ['an empty page', `fs.writeFileSync(out + '/index.html', '');`, 'pages are empty'],
  ['half a page', `fs.writeFileSync(out + '/index.html', '<html><bo');`, 'end in the middle'],
  ['a link out of it', `${WRITE} fs.symlinkSync('/etc/passwd', out + '/x');`, 'no plain file'],
])('a build with %s is refused although it ended with 0', async (_, script, reason) => {
  expect(await built(script)).toMatchObject({
    kind: 'failed',
    failure: { kind: 'incomplete', reason: expect.stringContaining(reason) },
  });
});

test('a link to a missing page is refused, or a warning where that is configured', async () => {
  const script = `fs.writeFileSync(out + '/index.html', '<a href="/gone/">x</a>');`;
  expect(await built(script)).toMatchObject({ failure: { kind: 'broken-links' } });
  expect(await built(script, { expect: { brokenLinks: 'warn' } })).toMatchObject({
    kind: 'built',
    build: { warnings: [{ text: expect.stringContaining('/gone/') }] },
  });
});

test('the deadline of a build ends all that it started', async () => {
  const directory = await temporary();
  const pidFile = join(directory, 'pid');
  const child = `require('node:fs').writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));
    setInterval(() => {}, 1000); process.on('SIGTERM', () => {});`;
  const script = `require('node:child_process').spawn(process.execPath,
    ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' }); setInterval(() => {}, 1000);`;
  const outcome = await built(script, { timeoutMs: 2_000, killGraceMs: 200 });
  expect(outcome).toMatchObject({ failure: { kind: 'timeout', timeoutMs: 2_000 } });
  await expectEnded(readFileSync(pidFile, 'utf8'));
});

test('what a build leaves running when it ends is ended with it', async () => {
  const directory = await temporary();
  const pidFile = join(directory, 'pid');
  const script = `${WRITE} const child = require('node:child_process').spawn(process.execPath,
    ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
    fs.writeFileSync(${JSON.stringify(pidFile)}, String(child.pid)); child.unref(); process.exit(0);`;
  expect(await built(script)).toMatchObject({ kind: 'built' });
  await expectEnded(readFileSync(pidFile, 'utf8'));
});

test('a build whose memory is over its limit is ended, and says so', async () => {
  const script = `const held = []; setInterval(() => held.push(Buffer.alloc(${8 * MIB}, 1)), 5);`;
  const outcome = await built(script, { maxMemoryBytes: 200 * MIB, killGraceMs: 100 });
  expect(outcome).toMatchObject({ failure: { kind: 'memory' } });
});

test('a heap that is full is out of memory, and nothing of it is published', async () => {
  const script = `${WRITE} const held = []; while (true) held.push({ a: held.length, b: [1, 2, 3] });`;
  const outcome = await built(script, { maxHeapMib: 32 });
  expect(outcome).toMatchObject({ failure: { kind: 'memory' } });
});

test('a build never goes to a directory with files, or around its own sources', async () => {
  const directory = await temporary();
  await mkdir(join(directory, 'served'));
  await writeFile(join(directory, 'served', 'index.html'), PAGE);
  const options = { command: 'true', args: [] };
  const build = (sourceDirectory: string, outputDirectory: string): Promise<BuildOutcome> =>
    runBuild(options, { sourceDirectory, outputDirectory, clock: systemClock });
  await expect(build(await temporary(), join(directory, 'served'))).rejects.toMatchObject({
    code: 'PUBLISHER_BUILD_DIRECTORY',
  });
  await expect(build(join(directory, 'served'), directory)).rejects.toMatchObject({
    code: 'PUBLISHER_BUILD_DIRECTORY',
  });
});
