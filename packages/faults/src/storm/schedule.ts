/** When a fault of a storm is active. */
export interface TimedFault {
  readonly atMs: number;
  readonly forMs: number;
}

/** Faults and their times as plain data, which can be printed, stored and replayed. */
export interface Schedule<Fault extends TimedFault> {
  readonly seed: number;
  readonly durationMs: number;
  /** In order of `atMs`. */
  readonly faults: readonly Fault[];
}

/** Returns whether two faults are active at the same time, or touch. */
export function overlap(one: TimedFault, other: TimedFault): boolean {
  return one.atMs <= other.atMs + other.forMs && other.atMs <= one.atMs + one.forMs;
}

/** Returns faults in order of `atMs`. */
export function inOrder<Fault extends { readonly atMs: number }>(
  faults: readonly Fault[],
): Fault[] {
  return faults.toSorted((one, other) => one.atMs - other.atMs);
}
