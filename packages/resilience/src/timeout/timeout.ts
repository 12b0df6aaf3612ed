import {
  type Clock,
  DeadlineQueue,
  objectWith,
  HoldfastError,
  integer,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import { ownDeadline, runWithDeadline } from './guarded-call.ts';

export interface TimeoutOptions {
  /** How long the work may take, in milliseconds. */
  timeoutMs: number;
  /** Appears in the error. Default `timeout`. */
  name?: string;
  clock?: Clock;
}

export interface TimeoutCallOptions {
  /** An abort rejects the call at once with the signal's own reason, and aborts the work. */
  signal?: AbortSignal | undefined;
  /**
   * Called once when the work itself has settled, which may be long after the call was rejected: the time to
   * release the resources of the work.
   */
  onSettled?: (() => void) | undefined;
}

export interface Timeout {
  /**
   * Runs `work` and rejects with {@link TimeoutError} when it takes too long. The work's signal aborts then, or
   * when the caller's signal aborts, each with its own reason; never after the work has succeeded.
   * @throws TimeoutError, whatever the work throws, or the reason of `signal`
   */
  execute<T>(
    work: (signal: AbortSignal) => T | PromiseLike<T>,
    options?: TimeoutCallOptions,
  ): Promise<T>;
}

/** The work did not end in time. Its signal was aborted; whether it took effect is unknown. */
export class TimeoutError extends HoldfastError {
  readonly code = 'RESILIENCE_TIMEOUT';
  readonly timeoutMs: number;

  constructor(name: string, timeoutMs: number) {
    super(
      `${name}: no answer within ${timeoutMs} ms; the work was aborted, but may have taken effect`,
      { retryable: true, outcome: 'unknown' },
    );
    this.timeoutMs = timeoutMs;
  }
}

const schema = {
  timeoutMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  name: string({ maxLength: 200, default: 'timeout' }),
  clock: objectWith<Clock>(['now', 'schedule'], systemClock),
};

/**
 * One timeout for many calls. All of them share one timer, which does not hold the process and ends at most
 * `timeoutMs` after the last call.
 * @throws InvalidOptionError
 */
export function createTimeout(options: TimeoutOptions): Timeout {
  const { timeoutMs, name, clock } = parseOptions('createTimeout', schema, options);
  const deadlines = new DeadlineQueue(clock, timeoutMs);
  const timedOut = (): TimeoutError => new TimeoutError(name, timeoutMs);
  return {
    execute: (work, call) =>
      runWithDeadline(work, {
        deadlines,
        timedOut,
        signal: call?.signal,
        onSettled: call?.onSettled,
      }),
  };
}

/**
 * A timeout for one call: as {@link createTimeout}, with a timer of its own that is canceled when the call has
 * settled.
 * @throws InvalidOptionError, TimeoutError, whatever the work throws, or the reason of `signal`
 */
export async function withTimeout<T>(
  work: (signal: AbortSignal) => T | PromiseLike<T>,
  options: TimeoutOptions & TimeoutCallOptions,
): Promise<T> {
  const { signal, onSettled, ...given } = options;
  const { timeoutMs, name, clock } = parseOptions('withTimeout', schema, given);
  const deadlines = ownDeadline(clock, timeoutMs);
  const timedOut = (): TimeoutError => new TimeoutError(name, timeoutMs);
  return runWithDeadline(work, { deadlines, timedOut, signal, onSettled });
}
