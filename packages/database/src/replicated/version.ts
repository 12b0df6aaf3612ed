/** A register's place in the order of its writes: by the counter, then by who wrote. */
export interface Version {
  /** One more than any its writer knew of (Lamport's clock). */
  readonly counter: number;
  /** Whose write it was; no two stores bear the same. */
  readonly writer: string;
}

/** Negative when `left` was written before `right`, 0 when they are the same write. */
export function compareVersions(left: Version, right: Version): number {
  if (left.counter !== right.counter) return left.counter - right.counter;
  // By code units, as Postgres compares under the collation "C" what is plain ASCII.
  if (left.writer === right.writer) return 0;
  return left.writer < right.writer ? -1 : 1;
}
