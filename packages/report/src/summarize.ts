import { readFileSync } from 'node:fs';
import { InvalidOptionError, integer, parseOptions } from '@holdfast/foundation';
import { RunNotReadableError } from './errors.ts';
import { parseScenarios, wasInterrupted } from './read-scenarios.ts';
import type { ScenarioRecord, Totals } from './report.ts';
import { oneLine, renderTotals } from './render/terminal.ts';

/** The sum of several runs. */
export interface Summary {
  /** The sum of the counts. A run that is unreadable or was stopped counts as one failure. */
  readonly totals: Totals;
  /** A line for each run, then the line with the sum. */
  readonly lines: readonly string[];
}

const count = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const totalsShape = { passed: count, failed: count, skipped: count };

/** Adds up the runs whose `run.json` files are at `paths`. */
export function summarize(paths: readonly string[]): Summary {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const played: ScenarioRecord[] = [];
  const lines = paths.map((path) => {
    try {
      const { totals, interrupted, scenarios } = readRun(path);
      sum.passed += totals.passed;
      sum.failed += totals.failed + (interrupted ? 1 : 0);
      sum.skipped += totals.skipped;
      played.push(...scenarios);
      const stopped = interrupted ? ', stopped before its end, which counts as one failure' : '';
      return `${path}: ${renderTotals(totals, scenarios)}${stopped}`;
    } catch (error) {
      if (!(error instanceof RunNotReadableError)) throw error;
      sum.failed += 1;
      return oneLine(`${path}: ${error.message}`);
    }
  });
  return { totals: sum, lines: [...lines, renderTotals(sum, played)] };
}

/**
 * The counts of one `run.json`.
 * @throws RunNotReadableError
 */
function readRun(path: string): {
  totals: Totals;
  interrupted: boolean;
  scenarios: readonly ScenarioRecord[];
} {
  try {
    const run: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof run !== 'object' || run === null || !('totals' in run)) {
      throw new InvalidOptionError('summarise', 'totals', undefined, 'the counts of a run');
    }
    return {
      totals: parseOptions('summarise', totalsShape, run.totals, 'totals'),
      interrupted: wasInterrupted(path),
      // A run without scenarios may omit them.
      scenarios: 'scenarios' in run ? parseScenarios('summarise', path) : [],
    };
  } catch (error) {
    throw new RunNotReadableError('no run could be read here, which counts as one failure', {
      cause: error,
    });
  }
}
