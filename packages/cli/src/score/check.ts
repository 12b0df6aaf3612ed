/** One promise, and whether a module kept it. */
export interface Check {
  readonly name: string;
  /** What was seen, in a few words. */
  readonly seen: string;
  readonly points: number;
  /** From 0 to `points`. */
  readonly earned: number;
}

/** What a probe is worth when its process cannot tell: a module that hangs or ends the process has kept nothing. */
export interface ProbeSpec {
  readonly name: string;
  readonly points: number;
}

/** All points when the promise is kept, else none. */
export function check(name: string, points: number, isKept: boolean, seen: string): Check {
  return { name, seen, points, earned: isKept ? points : 0 };
}

/** The whole result in percent; 100 only when every point was earned. */
export function scoreOf(checks: readonly Check[]): number {
  const sum = (read: (one: Check) => number): number =>
    checks.reduce((total, one) => total + read(one), 0);
  const points = sum((one) => one.points);
  return points === 0 ? 0 : Math.floor((100 * sum((one) => one.earned)) / points);
}
