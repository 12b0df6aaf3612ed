import { type ScenarioResult, endingsOf, outcomeReader } from '../outcome.ts';
import type { RunReport, TestRecord, Totals } from '../report.ts';
import { countOf } from '../violations.ts';

/** One run in the history: one line of JSON. Times in milliseconds. */
export interface HistoryEntry {
  readonly version: 1;
  /** The report, such as `infrastructure`: only runs with the same one are compared. */
  readonly report: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly commit?: string;
  readonly node: string;
  /** Only runs of the same processor and stage are compared by their times. */
  readonly cpu?: string;
  readonly stage?: string;
  readonly interrupted: boolean;
  readonly totals: Totals;
  readonly lost: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
  /** The time of the tests of each file that ran, by path. */
  readonly files: Readonly<Record<string, number>>;
  /** By `family: scenario`. */
  readonly scenarios: Readonly<Record<string, ScenarioTimes>>;
  /** The tests that did not pass at once, by `file: name`. */
  readonly unsteady: Readonly<Record<string, 'failed' | 'retried'>>;
}

/** How a scenario of an earlier run ended, and how long its parts took. */
export interface ScenarioTimes {
  readonly outcome: ScenarioResult;
  /** The time of its test. */
  readonly durationMs?: number;
  readonly detectedAfterMs?: number;
  readonly recoveredAfterMs?: number;
}

/** What one line holds at most, the worst first. */
const MAX_SCENARIOS = 2_000;
const MAX_UNSTEADY = 500;

/** The part of a run that the history keeps. */
export function historyEntryOf(run: RunReport, report: string): HistoryEntry {
  const { environment, scenarios, tests } = run;
  return {
    version: 1,
    report,
    startedAt: run.startedAt,
    durationMs: run.durationMs,
    ...(environment?.commit === undefined ? {} : { commit: environment.commit }),
    node: run.node,
    ...(environment === undefined ? {} : { cpu: environment.cpu }),
    ...(run.stage === undefined ? {} : { stage: run.stage }),
    interrupted: run.interrupted,
    totals: run.totals,
    lost: countOf(scenarios, 'lost'),
    duplicated: countOf(scenarios, 'duplicated'),
    outOfOrder: countOf(scenarios, 'outOfOrder'),
    files: filesOf(tests),
    scenarios: scenariosOf(run),
    unsteady: Object.fromEntries(
      tests
        .filter(
          ({ status, attempts }) => status === 'failed' || (status === 'passed' && attempts > 1),
        )
        .slice(0, MAX_UNSTEADY)
        .map((test) => [testKey(test), test.status === 'failed' ? 'failed' : 'retried']),
    ),
  };
}

/** How a test is called in the history. */
function testKey({ file, name }: Pick<TestRecord, 'file' | 'name'>): string {
  return `${file}: ${name}`;
}

/** How a scenario is called in the history. */
function scenarioKey({ family, scenario }: { family: string; scenario: string }): string {
  return `${family}: ${scenario}`;
}

function filesOf(tests: readonly TestRecord[]): Record<string, number> {
  const files: Record<string, number> = {};
  for (const { file, status, durationMs } of tests) {
    if (status !== 'skipped') files[file] = Math.round((files[file] ?? 0) + durationMs);
  }
  return files;
}

function scenariosOf(run: RunReport): Record<string, ScenarioTimes> {
  const outcomeOf = outcomeReader(run);
  const durations = new Map(
    run.tests.flatMap(({ name, durationMs }) =>
      endingsOf(name).map((ending): [string, number] => [ending, durationMs]),
    ),
  );
  return Object.fromEntries(
    run.scenarios.slice(0, MAX_SCENARIOS).map((scenario) => [
      scenarioKey(scenario),
      {
        outcome: outcomeOf(scenario),
        ...rounded('durationMs', durations.get(scenario.scenario)),
        ...rounded('detectedAfterMs', scenario.detectedAfterMs),
        ...rounded('recoveredAfterMs', scenario.recoveredAfterMs),
      },
    ]),
  );
}

function rounded(key: keyof ScenarioTimes, valueMs: number | undefined): object {
  return valueMs === undefined ? {} : { [key]: Math.round(valueMs * 10) / 10 };
}
