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

/** The calls that have drawn schedules; a schedule stays plain data. */
const drawnBy = new WeakMap<Schedule<TimedFault>, string>();

/**
 * Keeps the call that has drawn a schedule.
 * @param call the name of the function, and its options with their defaults; undefined when there were none.
 */
export function drawn<Drawn extends Schedule<TimedFault>>(
  schedule: Drawn,
  call: { readonly name: string; readonly options: object | undefined },
): Drawn {
  const options = call.options === undefined ? '' : `, ${JSON.stringify(call.options)}`;
  drawnBy.set(schedule, `${call.name}(${schedule.seed}${options})`);
  return schedule;
}

/** Returns an expression whose value equals the schedule: the call that has drawn it, or the schedule itself. */
export function replayOf(schedule: Schedule<TimedFault>): string {
  return drawnBy.get(schedule) ?? JSON.stringify(schedule);
}
