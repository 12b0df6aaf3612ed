/** The position of a write in the order of a register's writes: by counter, then by writer. */
export interface Version {
  /** Greater than any counter that its writer knew (a Lamport clock). */
  readonly counter: number;
  /** The store that wrote it; unique. */
  readonly writer: string;
}

/** Negative if `left` is before `right`, 0 if they are the same write. */
export function compareVersions(left: Version, right: Version): number {
  if (left.counter !== right.counter) return left.counter - right.counter;
  // By code units, as Postgres compares ASCII text under the collation "C".
  if (left.writer === right.writer) return 0;
  return left.writer < right.writer ? -1 : 1;
}
