import type { ScenarioResult } from '../outcome.ts';
import { formatDuration } from '../duration.ts';
import type { RunReport } from '../report.ts';
import { type Judgment, judge } from './band.ts';
import { type HistoryEntry, type ScenarioTimes, historyEntryOf } from './entry.ts';

/** One difference between a run and earlier ones. */
export interface Change {
  /** `file: name` of a test, or `family: scenario`. */
  readonly name: string;
  /**
   * `regression`: it fails or loses work now, or is slower beyond the noise. `suspect`: slower, in this run alone,
   * or with no history to tell the noise. `fixed`: it passes again. `gone`: it did not run in the newer run.
   */
  readonly kind: 'regression' | 'suspect' | 'fixed' | 'gone';
  /** Such as `recovered: now lost` or `recovery took 4.1 s, usually 1.2 s, at most 1.4 s in 20 runs`. */
  readonly what: string;
}

/** Without a history a time is suspect above this factor and by this much. */
const SUSPECT_FACTOR = 1.5;
const SUSPECT_MS = 250;

const times: readonly { what: string; read: (times: ScenarioTimes) => number | undefined }[] = [
  { what: 'detection', read: ({ detectedAfterMs }) => detectedAfterMs },
  { what: 'recovery', read: ({ recoveredAfterMs }) => recoveredAfterMs },
  { what: 'the test', read: ({ durationMs }) => durationMs },
];

/** Compares two runs. Times are never a regression here: two runs do not tell what is noise. */
export function compareRuns(before: RunReport, after: RunReport): Change[] {
  const [old, now] = [historyEntryOf(before, ''), historyEntryOf(after, '')];
  return inOrder([
    ...changesOfTests([old], now, namesOf(before)),
    ...changesOfOutcomes([old], now),
    ...gone(before, after),
    ...Object.entries(now.scenarios).flatMap(([name, scenario]) => slowerThan(name, scenario, old)),
  ]);
}

/**
 * Compares a run with the history: outcomes with the run before, times with the band of the twenty runs before on
 * the same processor and stage, by the rule of {@link judge}. Interrupted runs and the run itself are left out.
 * @param entries oldest first
 */
export function compareWithHistory(now: HistoryEntry, entries: readonly HistoryEntry[]): Change[] {
  const earlier = earlierRuns(now, entries);
  const alike = earlier.filter(({ cpu, stage }) => cpu === now.cpu && stage === now.stage);
  const slower = Object.entries(now.scenarios).flatMap(([name, scenario]) =>
    times.flatMap(({ what, read }) => {
      const newest = read(scenario);
      if (newest === undefined) return [];
      const values = alike.map((entry) => entry.scenarios[name]).map((old) => old && read(old));
      const judged = judge([...values.filter((value) => value !== undefined), newest]);
      return timeChange(name, what, newest, judged);
    }),
  );
  return inOrder([...changesOfTests(earlier, now), ...changesOfOutcomes(earlier, now), ...slower]);
}

/** The earlier complete runs of the same report, oldest first. */
export function earlierRuns(now: HistoryEntry, entries: readonly HistoryEntry[]): HistoryEntry[] {
  return entries.filter(
    ({ report, interrupted, startedAt }) =>
      report === now.report && !interrupted && startedAt < now.startedAt,
  );
}

function timeChange(
  name: string,
  what: string,
  newest: number,
  { verdict, band }: Judgment,
): Change[] {
  if (band === undefined || (verdict !== 'regressed' && verdict !== 'suspect')) return [];
  const highMs = verdict === 'regressed' ? band.lastingMs : band.highMs;
  const usual = `usually ${formatDuration(band.medianMs)}, at most ${formatDuration(highMs)}`;
  const said = `${what} took ${formatDuration(newest)}, ${usual} (${band.runs} runs)`;
  return [{ name, kind: verdict === 'regressed' ? 'regression' : 'suspect', what: said }];
}

function slowerThan(name: string, now: ScenarioTimes, old: HistoryEntry): Change[] {
  const before = old.scenarios[name];
  if (before === undefined) return [];
  return times.flatMap(({ what, read }): Change[] => {
    const [was, is] = [read(before), read(now)];
    if (was === undefined || is === undefined) return [];
    if (is <= was * SUSPECT_FACTOR || is - was <= SUSPECT_MS) return [];
    const said = `${what} took ${formatDuration(is)}, before ${formatDuration(was)} (no history)`;
    return [{ name, kind: 'suspect', what: said }];
  });
}

/** @param known the tests of the run before, where they are known: a new test that fails is no regression then */
function changesOfTests(
  earlier: readonly HistoryEntry[],
  now: HistoryEntry,
  known?: ReadonlySet<string>,
): Change[] {
  const fileOf = (test: string): string => test.slice(0, test.indexOf(': '));
  const before = (test: string): HistoryEntry | undefined =>
    earlier.findLast(({ files }) => Object.hasOwn(files, fileOf(test)));
  const failed = Object.entries(now.unsteady).flatMap(([name, result]): Change[] => {
    const last = before(name);
    if (result !== 'failed' || last === undefined || last.unsteady[name] === 'failed') return [];
    if (known?.has(name) === false) return [];
    return [{ name, kind: 'regression', what: 'failed: passed before' }];
  });
  const last = earlier.at(-1);
  const fixed = Object.entries(last?.unsteady ?? {}).flatMap(([name, result]): Change[] =>
    result === 'failed' &&
    now.unsteady[name] === undefined &&
    Object.hasOwn(now.files, fileOf(name))
      ? [{ name, kind: 'fixed', what: 'passes: failed before' }]
      : [],
  );
  return [...failed, ...fixed];
}

function changesOfOutcomes(earlier: readonly HistoryEntry[], now: HistoryEntry): Change[] {
  return Object.entries(now.scenarios).flatMap(([name, { outcome }]): Change[] => {
    const before = earlier.findLast(({ scenarios }) => Object.hasOwn(scenarios, name));
    const was = before?.scenarios[name]?.outcome;
    if (was === undefined || isBad(was) === isBad(outcome)) return [];
    const kind = isBad(outcome) ? 'regression' : 'fixed';
    return [{ name, kind, what: `${outcome}: ${was} before` }];
  });
}

function isBad(outcome: ScenarioResult): boolean {
  return outcome === 'lost' || outcome === 'failed';
}

/** Tests of the older run that the newer one did not run, in files that it did. */
function gone(before: RunReport, after: RunReport): Change[] {
  const now = namesOf(after);
  const files = new Set(after.tests.map(({ file }) => file));
  return before.tests
    .filter(
      ({ file, name, status }) =>
        status !== 'skipped' && files.has(file) && !now.has(`${file}: ${name}`),
    )
    .map(({ file, name }) => ({ name: `${file}: ${name}`, kind: 'gone', what: 'did not run' }));
}

function namesOf({ tests }: RunReport): ReadonlySet<string> {
  return new Set(
    tests.filter(({ status }) => status !== 'skipped').map(({ file, name }) => `${file}: ${name}`),
  );
}

const kinds: readonly Change['kind'][] = ['regression', 'suspect', 'gone', 'fixed'];

function inOrder(changes: readonly Change[]): Change[] {
  return changes.toSorted((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind));
}
