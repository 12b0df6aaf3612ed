import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { redact } from '../redact.ts';
import type {
  RunEnvironment,
  RunReport,
  ScenarioRecord,
  StageName,
  TestRecord,
  Totals,
} from '../report.ts';
import { parseScenario, worstFirst } from '../scenario.ts';
import { DEFAULT_REPLAY, replayCommand } from './replay-command.ts';
import { type FailingLine, findFailingLine } from './source-line.ts';

/** The maximum length of a failure message: a longer diff of two large values is of no use. */
const MAX_FAILURE_CHARACTERS = 20_000;

/** The parts of Jest's results that the report uses, the same in Jest 29 and 30. */
export interface JestRun {
  startTime: number;
  wasInterrupted: boolean;
  runExecError?: JestError | undefined;
  testResults: JestFile[];
}

export interface JestFile {
  testFilePath: string;
  displayName?: { name: string } | undefined;
  testResults: JestTest[];
  testExecError?: JestError | null | undefined;
  failureMessage?: string | null | undefined;
  perfStats?: { start: number; end: number } | undefined;
}

export interface JestTest {
  fullName: string;
  status: string;
  duration?: number | null | undefined;
  failureMessages: string[];
  invocations?: number | undefined;
  /** With Jest's `testLocationInResults`. */
  location?: { line: number; column: number } | null | undefined;
}

/** What Jest's results do not have. */
interface RunContext {
  readonly rootDirectory: string;
  readonly endedAtMs: number;
  readonly scenarios: readonly ScenarioRecord[];
  readonly unreadableRecords: number;
  readonly environment?: RunEnvironment;
  /** The command that runs a failed test again, with `{file}` and `{name}`. */
  readonly replay?: string;
}

interface JestError {
  message?: string;
  stack?: string | null | undefined;
}

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
export function collectRun(results: JestRun, context: RunContext): RunReport {
  const tests = results.testResults.flatMap((file) => testsOf(file, context));
  if (results.runExecError !== undefined) {
    tests.push(wholeFailure('.', 'the run ends', results.runExecError, 0, context));
  }
  const stages = new Set(context.scenarios.map(({ stage }) => stage));
  return {
    version: 2,
    startedAt: new Date(results.startTime).toISOString(),
    durationMs: Math.max(0, context.endedAtMs - results.startTime),
    node: process.version,
    ...stageOf(stages),
    ...(context.environment === undefined ? {} : { environment: context.environment }),
    interrupted: results.wasInterrupted,
    totals: count(tests),
    scenarios: context.scenarios.toSorted(worstFirst),
    unreadableRecords: context.unreadableRecords,
    tests,
  };
}

function testsOf(file: JestFile, context: RunContext): TestRecord[] {
  const path = relative(context.rootDirectory, file.testFilePath).split(sep).join('/');
  const project = file.displayName?.name;
  const { testExecError, perfStats } = file;
  const tests = file.testResults.map((test) => testOf(test, path, context));
  if (testExecError !== undefined && testExecError !== null) {
    const durationMs = Math.max(0, (perfStats?.end ?? 0) - (perfStats?.start ?? 0));
    const name = tests.length === 0 ? 'the file loads' : 'the file ends without an error';
    const error = { ...testExecError, rendered: file.failureMessage };
    tests.push(wholeFailure(path, name, error, durationMs, context));
  }
  if (project === undefined) return tests;
  return tests.map((test) => Object.assign({ project }, test));
}

function testOf(test: JestTest, file: string, context: RunContext): TestRecord {
  const status = statusOf(test.status);
  const name = readable(test.fullName);
  const line = test.location?.line;
  const reason = status === 'skipped' ? skipReasonOf(test.status, name) : undefined;
  const messages = test.failureMessages.join('\n\n');
  return {
    file,
    ...(line === undefined ? {} : { line }),
    name,
    status,
    ...(reason === undefined ? {} : { skipReason: reason }),
    durationMs: Math.max(0, test.duration ?? 0),
    attempts: test.invocations ?? 1,
    ...(status === 'failed' ? failureOf(messages, messages, { file, name }, context) : {}),
  };
}

function wholeFailure(
  file: string,
  name: string,
  error: JestError & { rendered?: string | null | undefined },
  durationMs: number,
  context: RunContext,
): TestRecord {
  const shown = error.rendered ?? error.stack ?? error.message ?? 'no reason given';
  const failure = failureOf(shown, error.stack ?? shown, { file }, context);
  return { file, name, status: 'failed', durationMs, attempts: 1, ...failure };
}

/** The message, the source where it failed, and the command that runs it again. */
function failureOf(
  shown: string,
  stack: string,
  { file, name }: { file: string; name?: string },
  { rootDirectory, replay = DEFAULT_REPLAY }: RunContext,
): Pick<TestRecord, 'failure' | 'codeFrame' | 'line' | 'replay'> {
  const failing: FailingLine | undefined = findFailingLine(
    stripVTControlCharacters(stack),
    rootDirectory,
  );
  return {
    failure: readable(shown),
    // A line of another file, such as a helper, is in the code frame and the stack only.
    ...(failing?.file === file ? { line: failing.line } : {}),
    ...(failing?.codeFrame === undefined
      ? {}
      : { codeFrame: `${failing.file}:${failing.line}\n${failing.codeFrame}` }),
    replay:
      name === undefined
        ? replayCommand(replay.replace(/ \S+ \{name\}/, ''), file, '')
        : replayCommand(replay, file, name),
  };
}

/** Jest passes no reason; the name of a test may end with one in parentheses. */
function skipReasonOf(status: string, name: string): string | undefined {
  if (status === 'todo') return 'not written yet';
  return /\(([^()]{3,200})\)$/.exec(name)?.[1];
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
