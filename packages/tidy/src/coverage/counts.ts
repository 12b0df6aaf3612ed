/** A script of a process, as Node writes it to NODE_V8_COVERAGE. */
export interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly {
      readonly startOffset: number;
      readonly endOffset: number;
      readonly count: number;
    }[];
  }[];
}

/**
 * Adds how often each position of a source ran in one process and realm. V8 gives the functions and blocks from the
 * outer to the inner ones, each with the count that replaces the outer one's.
 */
export function addCounts(counts: Float64Array, { functions }: ScriptCoverage): void {
  const once = new Float64Array(counts.length);
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count } of ranges) {
      once.fill(count, startOffset, endOffset);
    }
  }
  for (const [at, count] of once.entries()) counts[at] = (counts[at] ?? 0) + count;
}
