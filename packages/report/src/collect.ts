import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { AggregatedResult, TestResult } from '@jest/reporters';
import { redact } from './redact.ts';
import type { RunReport, ScenarioRecord, StageName, TestRecord, Totals } from './report.ts';
import { parseScenario, worstFirst } from './scenario.ts';

/** The maximum length of a failure message: a longer diff of two large values is of no use. */
const MAX_FAILURE_CHARACTERS = 20_000;

/** The parts of Jest's results that the report uses. */
export type JestRun = Pick<AggregatedResult, 'startTime' | 'wasInterrupted' | 'runExecError'> & {
  testResults: JestFile[];
};
export type JestFile = Pick<TestResult, 'testFilePath' | 'displayName'> & {
  testResults: JestTest[];
} & Partial<Pick<TestResult, 'testExecError' | 'failureMessage' | 'perfStats'>>;
export type JestTest = Pick<
  TestResult['testResults'][number],
  'fullName' | 'status' | 'duration' | 'failureMessages' | 'invocations'
>;

/** Reads the scenarios that the run's processes wrote into `directory`. */
export function collectRecords(directory: string): {
  scenarios: ScenarioRecord[];
  unreadable: number;
} {
  const scenarios: ScenarioRecord[] = [];
  let unreadable = 0;
  for (const name of readdirSync(directory).toSorted()) {
    for (const line of readFileSync(join(directory, name), 'utf8').split('\n')) {
      if (line === '') continue;
      try {
        scenarios.push(parseScenario('gatherRecords', JSON.parse(line)));
      } catch {
        unreadable += 1;
      }
    }
  }
  return { scenarios, unreadable };
}

/** Builds a run from Jest's results and the recorded scenarios. */
export function collectRun(
  results: JestRun,
  context: {
    rootDirectory: string;
    endedAtMs: number;
    scenarios: readonly ScenarioRecord[];
    unreadableRecords: number;
  },
): RunReport {
  const tests = results.testResults.flatMap((file) => testsOf(file, context.rootDirectory));
  if (results.runExecError !== undefined) {
    tests.push(wholeFailure('.', 'the run ends', results.runExecError, 0));
  }
  const stages = new Set(context.scenarios.map(({ stage }) => stage));
  return {
    version: 1,
    startedAt: new Date(results.startTime).toISOString(),
    durationMs: Math.max(0, context.endedAtMs - results.startTime),
    node: process.version,
    ...stageOf(stages),
    interrupted: results.wasInterrupted,
    totals: count(tests),
    scenarios: context.scenarios.toSorted(worstFirst),
    unreadableRecords: context.unreadableRecords,
    tests,
  };
}

function testsOf(file: JestFile, rootDirectory: string): TestRecord[] {
  const path = relative(rootDirectory, file.testFilePath).split(sep).join('/');
  const project = file.displayName?.name;
  const { testExecError, perfStats } = file;
  const tests = file.testResults.map((test) => testOf(test, path));
  if (testExecError !== undefined && testExecError !== null) {
    const durationMs = Math.max(0, (perfStats?.end ?? 0) - (perfStats?.start ?? 0));
    const name = tests.length === 0 ? 'the file loads' : 'the file ends without an error';
    tests.push(wholeFailure(path, name, testExecError, durationMs, file.failureMessage));
  }
  if (project === undefined) return tests;
  return tests.map((test) => Object.assign({ project }, test));
}

function testOf(test: JestTest, file: string): TestRecord {
  const status = statusOf(test.status);
  return {
    file,
    name: readable(test.fullName),
    status,
    durationMs: Math.max(0, test.duration ?? 0),
    attempts: test.invocations ?? 1,
    ...(status === 'failed' ? { failure: readable(test.failureMessages.join('\n\n')) } : {}),
  };
}

function wholeFailure(
  file: string,
  name: string,
  error: { message?: string; stack?: string | null | undefined },
  durationMs: number,
  rendered?: string | null,
): TestRecord {
  const failure = readable(rendered ?? error.stack ?? error.message ?? 'no reason given');
  return { file, name, status: 'failed', durationMs, attempts: 1, failure };
}

function statusOf(status: JestTest['status']): TestRecord['status'] {
  return status === 'passed' || status === 'failed' ? status : 'skipped';
}

/** Redacts before it cuts, because half a URL is not recognized as one. */
function readable(text: string): string {
  const clean = redact(stripVTControlCharacters(text)).trim();
  if (clean.length <= MAX_FAILURE_CHARACTERS) return clean;
  const left = clean.length - MAX_FAILURE_CHARACTERS;
  return `${clean.slice(0, MAX_FAILURE_CHARACTERS)}\n… ${left} more characters`;
}

function count(tests: readonly TestRecord[]): Totals {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const { status } of tests) totals[status] += 1;
  return totals;
}

function stageOf(stages: ReadonlySet<StageName>): { stage?: StageName | 'mixed' } {
  const [only] = stages;
  if (only === undefined) return {};
  return { stage: stages.size === 1 ? only : 'mixed' };
}
