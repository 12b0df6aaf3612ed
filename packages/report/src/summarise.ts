import { readFileSync } from 'node:fs';
import { InvalidOptionError, integer, parseOptions } from '@holdfast/foundation';
import { RunNotReadableError } from './errors.ts';
import type { Totals } from './report.ts';
import { oneLine, renderTotals } from './terminal.ts';

/** Several runs as one. */
export interface Summary {
  /** A run that cannot be read counts as one failure: it is not known to have passed. */
  readonly totals: Totals;
  /** A line for each run, then the line with the sum, which stands alone. */
  readonly lines: readonly string[];
}

const count = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const totalsShape = { passed: count, failed: count, skipped: count };

/** Adds up the runs whose `run.json` files stand at `paths`. */
export function summarise(paths: readonly string[]): Summary {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const lines = paths.map((path) => {
    try {
      const { totals, interrupted } = readRun(path);
      sum.passed += totals.passed;
      sum.failed += totals.failed;
      sum.skipped += totals.skipped;
      return `${path}: ${renderTotals(totals)}${interrupted ? ', stopped before its end' : ''}`;
    } catch (error) {
      if (!(error instanceof RunNotReadableError)) throw error;
      sum.failed += 1;
      return oneLine(`${path}: ${error.message}`);
    }
  });
  return { totals: sum, lines: [...lines, renderTotals(sum)] };
}

/**
 * The counts of one `run.json`.
 * @throws RunNotReadableError
 */
function readRun(path: string): { totals: Totals; interrupted: boolean } {
  try {
    const run: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof run !== 'object' || run === null || !('totals' in run)) {
      throw new InvalidOptionError('summarise', 'totals', undefined, 'the counts of a run');
    }
    return {
      totals: parseOptions('summarise', totalsShape, run.totals, 'totals'),
      interrupted: 'interrupted' in run && run.interrupted === true,
    };
  } catch (error) {
    throw new RunNotReadableError('no run could be read here, which counts as one failure', {
      cause: error,
    });
  }
}
