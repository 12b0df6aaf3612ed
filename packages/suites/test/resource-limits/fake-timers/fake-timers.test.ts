/**
 * It measures time, or what the whole process holds.
 *
 * @alone
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { type FakeTimers, scenarios } from './scenarios.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../../../..');

afterEach(() => {
  jest.useRealTimers();
});

// What the scenarios themselves wait for is not faked.
const kept = ['nextTick', 'setImmediate', 'queueMicrotask'] as const;
const jestSets = {
  everything: kept,
  'setTimeout alone': [...kept, 'Date', 'hrtime', 'performance', 'setInterval'],
} as const;

for (const [name, doNotFake] of Object.entries(jestSets)) {
  const timers: FakeTimers = {
    install: () => void jest.useFakeTimers({ doNotFake: [...doNotFake] }),
    tick: (ms) => jest.advanceTimersByTime(ms),
    clear: () => jest.clearAllTimers(),
    restore: () => void jest.useRealTimers(),
  };
  describe(`Jest fakes ${name}`, () => {
    test.each(Object.entries(scenarios))('%s', async (_, play) => {
      await expect(play(timers)).resolves.toBeUndefined();
    });
  });
}

test.each(['sinon', 'node:test'])('with the timers of %s calls time out', async (library) => {
  const script = join(import.meta.dirname, 'child-main.ts');
  const { stdout } = await run(process.execPath, ['--no-warnings', script, library]);
  expect(JSON.parse(stdout)).toEqual([]);
});

test('with the timers of Vitest calls time out', async () => {
  const cli = join(root, 'node_modules/vitest/vitest.mjs');
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-vitest-'));
  const output = join(folder, 'report.json');
  const options = ['--root', import.meta.dirname, '--reporter=json', `--outputFile=${output}`];
  try {
    await run(process.execPath, [cli, 'run', 'clients.spec', ...options]);
    const report: unknown = JSON.parse(await readFile(output, 'utf8'));
    expect(report).toMatchObject({
      numFailedTests: 0,
      numPassedTests: Object.keys(scenarios).length,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
