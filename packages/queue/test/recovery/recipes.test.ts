import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createQueueAdapter } from '../../src/create-queue.ts';

const PACKAGE = join(import.meta.dirname, '../..');
const PAGE = join(PACKAGE, '../../docs/recipes/one-owner-per-directory.md');
/** A port on which nothing listens. */
const REDIS_URL = 'redis://127.0.0.1:1';

let folder = '';
let directory = '';
const started: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-recipes-'));
  directory = join(folder, 'jobs');
  await mkdir(directory);
  await mkdir(join(folder, 'node_modules/@holdfast'), { recursive: true });
  await symlink(PACKAGE, join(folder, 'node_modules/@holdfast/queue'));
  // The page's own code, each block under the name in its first line.
  for (const [, code = ''] of (await readFile(PAGE, 'utf8')).matchAll(/```js\n(.*?)```/gs)) {
    const name = /^\/\/ (\S+)/.exec(code)?.[1] ?? '';
    await writeFile(join(folder, name), code);
  }
});

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      process.kill(-child.pid, 'SIGKILL');
      await ended;
    }
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
});

/** Starts a module in the folder; returns its lines on the standard output. */
async function start(name: string, code: string): Promise<AsyncIterator<string>> {
  await writeFile(join(folder, name), code);
  const child = spawn(process.execPath, [name], {
    cwd: folder,
    detached: true,
    env: { ...process.env, REDIS_URL, JOBS_DIRECTORY: directory },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

async function nextOf(lines: AsyncIterator<string>): Promise<Record<string, unknown>> {
  const { value } = await lines.next();
  return JSON.parse(value);
}

test('a module that is loaded twice in one process shares its queue by the recipe of the page', async () => {
  const lines = await start(
    'reload.mjs',
    `const first = await import('./jobs.mjs?1');
    const second = await import('./jobs.mjs?2');
    const accepted = await Promise.all([first.jobs.enqueue('t', 1), second.jobs.enqueue('t', 2)]);
    console.log(JSON.stringify({
      isOne: first.jobs === second.jobs,
      isLoadedTwice: first !== second,
      accepted: accepted.map((one) => one.accepted),
    }));
    await first.jobs.close();`,
  );
  const accepted = ['journal', 'journal'];
  expect(await nextOf(lines)).toEqual({ isOne: true, isLoadedTwice: true, accepted });
});

test('without the recipe the second load is refused by an error that shows it, and accepted after the first has closed', async () => {
  const options = { redis: { url: REDIS_URL }, fallback: { journal: { directory } } };
  const first = createQueueAdapter(options);
  await first.ready();
  const second = createQueueAdapter(options);
  await expect(second.enqueue('t', 1)).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
    message: expect.stringMatching(/open in this process already.*globalThis\.adapter \?\?=/),
  });
  await first.close();
  expect(await second.enqueue('t', 1)).toMatchObject({ accepted: 'journal' });
  await second.close();
});

test('each worker of a cluster has a directory by the recipe of the page, which its successor takes over', async () => {
  const lines = await start(
    'cluster.mjs',
    `import cluster from 'node:cluster';
    cluster.on('message', (_, message) => console.log(JSON.stringify(message)));
    await import('./server.mjs');`,
  );
  const workers = [await nextOf(lines), await nextOf(lines)];
  const instances = workers.map(({ ready }) => String(ready));
  expect(instances.toSorted()).toEqual(['0', '1']);
  expect((await readdir(directory)).toSorted()).toEqual(['0', '1']);
  const [killed] = workers;
  process.kill(Number(killed?.['pid']), 'SIGKILL');
  const successor = await nextOf(lines);
  expect(successor['ready']).toBe(killed?.['ready']);
  expect(successor['pid']).not.toBe(killed?.['pid']);
});

test('two processes with one directory: the second is told to give each its own', async () => {
  const options = { redis: { url: REDIS_URL }, fallback: { journal: { directory } } };
  const lines = await start(
    'owner.mjs',
    `import { jobs } from './jobs.mjs';
    await jobs.ready();
    console.log('{}');
    setInterval(() => undefined, 1_000);`,
  );
  await nextOf(lines);
  const second = createQueueAdapter(options);
  await expect(second.ready()).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
    message: expect.stringContaining('process.env.NODE_APP_INSTANCE'),
  });
  await second.close();
});
