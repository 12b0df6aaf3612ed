import type { HistoryEntry } from './entry.ts';

/** A test that both passes and fails without a change of what it tests. */
export interface FlakyTest {
  /** `file: name`. */
  readonly test: string;
  /** The runs in which its file ran. */
  readonly runs: number;
  /** The runs in which it failed, or passed only when it was run again. */
  readonly unsteady: number;
  /** The Wilson score interval of the rate, with a confidence of 95 %. */
  readonly rate: { readonly low: number; readonly high: number };
}

/** The two-sided 95 % quantile of the normal distribution. */
const Z = 1.96;

/**
 * Finds flaky tests: one that passed only when it was run again, that failed and passed at the same commit, or
 * that began to fail at least twice. One that fails ever since is broken, not flaky. Most often unsteady first.
 * @param entries oldest first, of one report
 */
export function flakyTests(entries: readonly HistoryEntry[]): FlakyTest[] {
  const names = new Set(entries.flatMap(({ unsteady }) => Object.keys(unsteady)));
  return [...names]
    .flatMap((test) => {
      const own = entries.filter(
        ({ files, unsteady }) =>
          Object.hasOwn(unsteady, test) || Object.hasOwn(files, fileOf(test)),
      );
      if (!isFlaky(test, own)) return [];
      const unsteady = own.filter((entry) => Object.hasOwn(entry.unsteady, test)).length;
      return [{ test, runs: own.length, unsteady, rate: wilson(unsteady, own.length) }];
    })
    .toSorted((a, b) => b.rate.low - a.rate.low);
}

function isFlaky(test: string, entries: readonly HistoryEntry[]): boolean {
  const results = entries.map(({ unsteady, commit }) => ({ result: unsteady[test], commit }));
  if (results.some(({ result }) => result === 'retried')) return true;
  const begins = results.filter(
    ({ result }, index) =>
      result === 'failed' && index > 0 && results[index - 1]?.result === undefined,
  );
  if (begins.length > 1) return true;
  const failedAt = new Set(
    results.filter(({ result }) => result === 'failed').map(({ commit }) => commit),
  );
  return results.some(
    ({ result, commit }) => result === undefined && commit !== undefined && failedAt.has(commit),
  );
}

function fileOf(test: string): string {
  return test.slice(0, test.indexOf(': '));
}

function wilson(hits: number, runs: number): { low: number; high: number } {
  const share = hits / runs;
  const center = share + Z ** 2 / (2 * runs);
  const spread = Z * Math.sqrt((share * (1 - share)) / runs + Z ** 2 / (4 * runs ** 2));
  const scale = 1 + Z ** 2 / runs;
  return {
    low: Math.max(0, (center - spread) / scale),
    high: Math.min(1, (center + spread) / scale),
  };
}
