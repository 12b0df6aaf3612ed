import { RunNotReadableError } from './errors.ts';
import { readRun } from './history/read-run.ts';
import { isFlaky } from './outcome.ts';
import type { RunReport, ScenarioRecord, Totals } from './report.ts';
import { renderTotals } from './render/terminal.ts';
import { oneLine } from './render/width.ts';
import { passedOver } from './violations.ts';

/** The sum of several runs. */
export interface Summary {
  /**
   * The sum of the counts. A run that is unreadable or was stopped counts as one failure, and so does a scenario
   * that lost, duplicated or reordered work although its test passed.
   */
  readonly totals: Totals;
  /** A line for each run, before it one for each of its tests that passed only when run again; then the sum. */
  readonly lines: readonly string[];
}

/** Adds up the runs whose `run.json` files are at `paths`. */
export function summarize(paths: readonly string[]): Summary {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const played: ScenarioRecord[] = [];
  const lines = paths.flatMap((path) => {
    try {
      const run = readRun(path);
      const { totals, interrupted, scenarios } = run;
      const broken = passedOver(run);
      sum.passed += totals.passed;
      sum.failed += totals.failed + (interrupted ? 1 : 0) + broken.length;
      sum.skipped += totals.skipped;
      played.push(...scenarios);
      const stopped = interrupted ? ', stopped before its end, which counts as one failure' : '';
      return [
        ...linesOfRetried(run),
        ...broken.map(({ name, message }) =>
          oneLine(`${name}: ${message}, although its test passed`),
        ),
        `${path}: ${renderTotals(totals, scenarios)}${stopped}`,
      ];
    } catch (error) {
      if (!(error instanceof RunNotReadableError)) throw error;
      sum.failed += 1;
      return oneLine(`${path}: no run could be read here, which counts as one failure`);
    }
  });
  return { totals: sum, lines: [...lines, renderTotals(sum, played)] };
}

function linesOfRetried({ tests }: RunReport): string[] {
  return tests
    .filter(isFlaky)
    .map(({ file, name, attempts }) => oneLine(`passed at attempt ${attempts}: ${file}: ${name}`));
}
