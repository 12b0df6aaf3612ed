import { WORK_OPTIONS, checkCall } from '../check-call.ts';
import {
  type Clock,
  DeadlineQueue,
  objectWith,
  HoldfastError,
  InvalidOptionError,
  integer,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import { type NameFirst, nameFirst } from '../name-first.ts';
import { ownDeadline, runWithDeadline } from './guarded-call.ts';

/** Options of `createTimeout`. */
export interface TimeoutOptions {
  /** How long the work may take, in milliseconds. */
  timeoutMs: number;
  /** Appears in the error. Default `timeout`. */
  name?: string;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** Options of one call through a timeout. */
export interface TimeoutCallOptions<T = unknown> {
  /** An abort rejects the call at once with the signal's own reason, and aborts the work. */
  signal?: AbortSignal | undefined;
  /**
   * Called once when the work itself has settled, which may be long after the call was rejected: the time to
   * release the resources of the work.
   */
  onSettled?: (() => unknown) | undefined;
  /** Receives a value that arrives after the call has been rejected, such as a connection to close. */
  onDiscarded?: ((value: T) => unknown) | undefined;
}

/** Gives work a deadline, and aborts it then. */
export interface Timeout {
  /**
   * Runs `work` and rejects with {@link TimeoutError} when it takes too long. The work's signal aborts then, or
   * when the caller's signal aborts, each with its own reason; never after the work has succeeded.
   * @throws TimeoutError, whatever the work throws, or the reason of `signal`
   */
  execute<T>(
    work: (signal: AbortSignal) => T | PromiseLike<T>,
    options?: TimeoutCallOptions<T>,
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

const TIMEOUT_OPTIONS = [...WORK_OPTIONS, 'onSettled'];

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
export function createTimeout(options: TimeoutOptions): Timeout;
export function createTimeout(name: string, options: NameFirst<TimeoutOptions>): Timeout;
export function createTimeout(
  first: string | TimeoutOptions,
  second?: NameFirst<TimeoutOptions>,
): Timeout {
  const options = nameFirst<TimeoutOptions>('createTimeout', first, second);
  const { timeoutMs, name, clock } = parseOptions('createTimeout', schema, options);
  const deadlines = new DeadlineQueue(clock, timeoutMs);
  const timedOut = (): TimeoutError => new TimeoutError(name, timeoutMs);
  return {
    execute: (work, call) => {
      try {
        checkCall('timeout.execute', work, call, TIMEOUT_OPTIONS);
      } catch (error) {
        return Promise.reject(error);
      }
      return runWithDeadline(work, {
        deadlines,
        timedOut,
        signal: call?.signal,
        onSettled: call?.onSettled,
        onDiscarded: call?.onDiscarded,
      });
    },
  };
}

/**
 * A timeout for one call: as {@link createTimeout}, with a timer of its own that is canceled when the call has
 * settled.
 * @throws InvalidOptionError, TimeoutError, whatever the work throws, or the reason of `signal`
 */
export async function withTimeout<T>(
  work: (signal: AbortSignal) => T | PromiseLike<T>,
  options: TimeoutOptions & TimeoutCallOptions<T>,
): Promise<T> {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionError('withTimeout', 'options', options, 'an object with timeoutMs');
  }
  const { signal, onSettled, onDiscarded, ...given } = options;
  checkCall('withTimeout', work, { signal, onSettled, onDiscarded }, TIMEOUT_OPTIONS);
  const { timeoutMs, name, clock } = parseOptions('withTimeout', schema, given);
  const deadlines = ownDeadline(clock, timeoutMs);
  const timedOut = (): TimeoutError => new TimeoutError(name, timeoutMs);
  return runWithDeadline(work, { deadlines, timedOut, signal, onSettled, onDiscarded });
}
