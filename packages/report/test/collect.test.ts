import { expect, test } from '@jest/globals';
import type { AggregatedResult, Reporter } from '@jest/reporters';
import {
  type JestFile,
  type JestRun,
  type JestTest,
  collectRun,
} from '../src/collecting/collect.ts';
import HoldfastReporter from '../src/jest-reporter.ts';
import { killedRedis } from './sample.ts';

const passing: JestTest = {
  fullName: 'a promise is kept',
  status: 'passed',
  duration: 12,
  failureMessages: [],
  invocations: 1,
};

function jestFile(fields: Partial<JestFile> = {}): JestFile {
  const perfStats = { start: 1_000, end: 1_250 };
  const testFilePath = '/repository/packages/queue/test/queue.test.ts';
  return { testFilePath, perfStats, testResults: [passing], ...fields };
}

function gather(
  testResults: JestFile[],
  run: Partial<JestRun> = {},
): ReturnType<typeof collectRun> {
  return collectRun(
    { startTime: 1_700_000_000_000, wasInterrupted: false, testResults, ...run },
    {
      rootDirectory: '/repository',
      endedAtMs: 1_700_000_002_500,
      scenarios: [],
      unreadableRecords: 0,
    },
  );
}

test('the report has every test, with its file relative to the root', () => {
  const run = gather([
    jestFile({
      displayName: { name: 'unit' },
      testResults: [
        passing,
        { ...passing, status: 'failed', failureMessages: ['first', 'second'] },
        { ...passing, status: 'pending', duration: null },
        { ...passing, status: 'todo' },
        { ...passing, invocations: 3 },
      ],
    }),
  ]);
  expect(run.totals).toEqual({ passed: 2, failed: 1, skipped: 2 });
  expect(run.durationMs).toBe(2_500);
  expect(run.startedAt).toBe('2023-11-14T22:13:20.000Z');
  expect(run.tests[1]).toEqual({
    project: 'unit',
    file: 'packages/queue/test/queue.test.ts',
    name: 'a promise is kept',
    status: 'failed',
    durationMs: 12,
    attempts: 1,
    failure: 'first\n\nsecond',
    replay: "npx jest packages/queue/test/queue.test.ts --testNamePattern 'a promise is kept$'",
  });
  expect(run.tests[4]?.attempts).toBe(3);
});

test('a file that cannot be loaded counts as one failure', () => {
  const message = 'Cannot find module';
  const run = gather([
    jestFile(),
    jestFile({
      testResults: [],
      testExecError: { message, stack: message },
      failureMessage: message,
    }),
  ]);
  expect(run.totals).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(run.tests[1]).toMatchObject({ name: 'the file loads', failure: message });
});

test('a file whose tests pass and that fails at its end counts as a failure', () => {
  const run = gather([jestFile({ testExecError: { message: 'afterAll threw', stack: '' } })]);
  expect(run.totals).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test('an error of the run itself counts as a failure', () => {
  const run = gather([], { runExecError: { message: 'worker died', stack: null } });
  expect(run.totals.failed).toBe(1);
  expect(run.tests[0]?.failure).toBe('worker died');
});

test('a failure message is shown without credentials, colors or endless diffs', () => {
  const failure = `\u001B[31mconnect redis://u:hunter2@h\u001B[39m ${'x'.repeat(30_000)}`;
  const run = gather([
    jestFile({ testResults: [{ ...passing, status: 'failed', failureMessages: [failure] }] }),
  ]);
  const shown = run.tests[0]?.failure ?? '';
  expect(shown).toMatch(/^connect redis:\/\/\*\*\*@h x/);
  expect(shown).toMatch(/\n… \d+ more characters$/);
});

test('a credential where the message is cut is still redacted', () => {
  const failure = `${'x'.repeat(19_985)} redis://user:hunter2@h ${'y'.repeat(100)}`;
  const run = gather([
    jestFile({ testResults: [{ ...passing, status: 'failed', failureMessages: [failure] }] }),
  ]);
  expect(run.tests[0]?.failure).not.toContain('user');
});

test('scenarios are sorted worst first: losses, then broken promises, then the slowest', () => {
  const named = (scenario: string, fields: object): typeof killedRedis => ({
    ...killedRedis,
    lostByServer: 0,
    scenario,
    ...fields,
  });
  const scenarios = [
    named('quick', { recoveredAfterMs: 10 }),
    named('twice', { duplicated: 1 }),
    named('slow', { recoveredAfterMs: 9_000 }),
    named('lost', { lost: 1, stage: 'docker' }),
  ];
  const context = { rootDirectory: '/', endedAtMs: 0, scenarios, unreadableRecords: 0 };
  const run = collectRun({ startTime: 0, wasInterrupted: false, testResults: [] }, context);
  expect(run.scenarios.map(({ scenario }) => scenario)).toEqual(['lost', 'twice', 'slow', 'quick']);
  expect(run.stage).toBe('mixed');
});

test("Jest's own types accept the reporter, and their results are a run", () => {
  const reporter: Reporter = new HoldfastReporter({ rootDir: '/repository' });
  const toRun = (results: AggregatedResult): JestRun => results;
  expect(reporter.onRunComplete).toBeInstanceOf(Function);
  expect(toRun).toBeInstanceOf(Function);
});
