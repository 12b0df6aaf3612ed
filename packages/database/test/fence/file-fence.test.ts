import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { createFileFence } from '../../src/index.ts';

const closings: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closings.splice(0).toReversed()) await close();
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-fence-'));
  closings.push(() => rm(path, { recursive: true }));
  return path;
}

test.each([
  ['of one fence', (path: string) => Array.from({ length: 4 }, fenceOf(createFileFence(path)))],
  ['of several fences', (path: string) => Array.from({ length: 4 }, () => createFileFence(path))],
])('stores at the same time %s leave the latest timeline, in any order', async (_, fencesOf) => {
  const parent = await folder();
  const left: (number | undefined)[] = [];
  for (let round = 0; round < 25; round += 1) {
    const path = join(parent, `${round}`);
    const timelines = [9, 5, 7, 3].map((each, at) => (round % 2 === 0 ? each : 12 - each - at));
    const fences = fencesOf(path);
    await Promise.all(timelines.map(async (timeline, at) => fences[at]?.store(timeline)));
    left.push((await createFileFence(path).load()) === Math.max(...timelines) ? undefined : round);
  }
  expect(left.filter((each) => each !== undefined)).toEqual([]);
  expect(await readdir(parent)).toHaveLength(25);
});

function fenceOf<T>(fence: T): () => T {
  return () => fence;
}

async function startProcess(): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, 'fence-main.ts'));
  closings.push(async () => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  await once(child, 'message');
  return child;
}

test('stores at the same time by two processes leave the latest timeline', async () => {
  const parent = await folder();
  const [one, two] = await Promise.all([startProcess(), startProcess()]);
  const store = async (child: ChildProcess, path: string, timelines: number[]): Promise<void> => {
    const stored = once(child, 'message');
    child.send({ path, timelines });
    await stored;
  };
  for (let round = 0; round < 40; round += 1) {
    const path = join(parent, `${round}`);
    await Promise.all([store(one, path, [9, 3]), store(two, path, [5, 7, 4])]);
    expect(await createFileFence(path).load()).toBe(9);
  }
});

test('what a process left that ended during a store is removed by the next one, and nothing else is', async () => {
  const path = join(await folder(), 'timeline');
  const left = `${path}.3.0b0ee5b5-7cc4-4a87-a3c4-3f9f5f5a0c11`;
  await Promise.all([writeFile(left, '3\n'), writeFile(`${path}.1.bak`, 'mine')]);
  await createFileFence(path).store(4);
  expect(await readdir(join(path, '..'))).toEqual(['timeline', basename(`${path}.1.bak`)]);
});
