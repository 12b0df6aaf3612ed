import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { createCircuitBreaker, createTimeout } from '@holdfast/resilience';
import { type FakeTimers, scenarios } from './scenarios.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../../..');

afterEach(() => {
  jest.useRealTimers();
});

const jestSets = {
  everything: undefined,
  'all but performance': ['performance', 'hrtime', 'setImmediate'],
  'setTimeout alone': [
    'Date',
    'hrtime',
    'nextTick',
    'performance',
    'queueMicrotask',
    'setImmediate',
    'setInterval',
  ],
} as const;

for (const [name, doNotFake] of Object.entries(jestSets)) {
  const timers: FakeTimers = {
    install: () =>
      void jest.useFakeTimers(doNotFake === undefined ? {} : { doNotFake: [...doNotFake] }),
    tick: (ms) => jest.advanceTimersByTime(ms),
    clear: () => jest.clearAllTimers(),
    restore: () => void jest.useRealTimers(),
  };
  describe(`Jest fakes ${name}`, () => {
    for (const [scenario, play] of Object.entries(scenarios)) {
      test(scenario, async () => {
        await expect(play(timers)).resolves.toBeUndefined();
      });
    }
  });
}

test.each([
  ['sinon', ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance']],
  ['sinon', ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date']],
  ['sinon', ['setTimeout', 'clearTimeout']],
  ['sinon', ['setTimeout']],
  ['node:test', []],
  ['node:test', ['setTimeout', 'Date']],
  ['node:test', ['setTimeout']],
])('the timers of %s drive the policies, when %j are faked', async (library, faked) => {
  const script = join(import.meta.dirname, 'child-main.ts');
  const flags = ['--disable-warning=ExperimentalWarning'];
  const { stdout } = await run(process.execPath, [...flags, script, library, ...faked]);
  expect(JSON.parse(stdout)).toEqual([]);
});

test('the timers of Vitest drive the policies', async () => {
  const cli = join(root, 'node_modules/vitest/vitest.mjs');
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-vitest-'));
  const output = join(folder, 'report.json');
  const options = ['--root', import.meta.dirname, '--reporter=json', `--outputFile=${output}`];
  try {
    await run(process.execPath, [cli, 'run', 'policies.spec', ...options]);
    const report: unknown = JSON.parse(await readFile(output, 'utf8'));
    expect(report).toMatchObject({
      numFailedTests: 0,
      numPassedTests: 3 * Object.keys(scenarios).length,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('policies keep real time while a test fakes the date alone', async () => {
  jest.useFakeTimers({
    doNotFake: [
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'setInterval',
      'setTimeout',
      'clearTimeout',
    ],
  });
  const timeout = createTimeout({ timeoutMs: 20 });
  const breaker = createCircuitBreaker({ failureThreshold: 1, openDurationMs: 20 });
  breaker.forceOpen();
  jest.setSystemTime(Date.now() + 86_400_000);
  expect(breaker.tryAcquire().granted).toBe(false);
  const late = timeout.execute(() => new Promise<never>(() => undefined));
  await expect(late).rejects.toMatchObject({ code: 'RESILIENCE_TIMEOUT' });
  expect(breaker.tryAcquire().granted).toBe(true);
});
