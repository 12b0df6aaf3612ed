import { checkCall } from '../check-call.ts';
import {
  callback,
  type Clock,
  objectWith,
  HoldfastError,
  integer,
  number,
  type Random,
  parseOptions,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import { withoutStack } from '../cheap-errors.ts';
import { decide, warnOnce, whenDecided, yesOrNo } from '../decision.ts';
import { type NameFirst, nameFirst } from '../name-first.ts';
import { safeRandom } from '../safe-random.ts';
import { type WorkCallOptions, untilAborted } from '../until-aborted.ts';

/** Options of `createThrottle`. All times in milliseconds. */
export interface ThrottleOptions {
  /** Appears in errors. Default `throttle`. */
  name?: string;
  /**
   * The ratio of sent to accepted calls above which throttling begins. Lower is stricter; with 2 the server may
   * refuse half of the calls. Default 2.
   */
  tolerance?: number;
  /** The time for which a call counts, in milliseconds. Default 120 000. */
  windowMs?: number;
  /**
   * Which failures mean that the server refused for overload. Default: all. One that throws decides that it did not; a
   * promise is awaited without delaying the call; until it settles the request counts as not accepted.
   */
  isOverload?: (error: unknown) => boolean | Promise<boolean>;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

/** The server refused so many recent calls that this one was not sent. */
export class ThrottledError extends HoldfastError {
  readonly code = 'RESILIENCE_THROTTLED';

  constructor(throttle: string, requests: number, accepts: number) {
    super(
      `throttle ${throttle}: the server accepted ${accepts} of the last ${requests} calls; this one was not sent`,
      { retryable: true, outcome: 'not-applied' },
    );
  }
}

/** What a throttle counts within its window, read at any time. */
export interface ThrottleStats {
  /** Calls within the window, the throttled ones included. */
  readonly requestCount: number;
  /** Calls within the window that the server accepted. */
  readonly acceptCount: number;
  /** Calls not sent since the start. */
  readonly throttledCount: number;
  /** The chance that the next call is not sent, 0 to 1. */
  readonly refusalProbability: number;
}

/**
 * Keeps calls from an overloaded server that would refuse them: the larger the share that it refuses, the larger
 * the share that is not sent. A few calls are always sent, so that its recovery is noticed.
 * Source: Google, "Site Reliability Engineering", 2016, chapter 21, client-side throttling.
 */
export interface Throttle {
  readonly name: string;
  /** Counts a call, and decides whether it may be sent. */
  tryAcquire(): boolean;
  /** The server accepted a call, whatever the result. */
  accepted(): void;
  /** @throws ThrottledError, the error of `fn`, or the signal's own reason. */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: WorkCallOptions<T>,
  ): Promise<T>;
  getStats(): ThrottleStats;
}

const BUCKETS = 12;
const noOverload = yesOrNo(false);

const schema = {
  name: string({ maxLength: 200, default: 'throttle' }),
  tolerance: number({ min: 1, max: 100, default: 2 }),
  windowMs: integer({ min: BUCKETS, max: Number.MAX_SAFE_INTEGER, default: 120_000 }),
  isOverload: callback<(error: unknown) => unknown>(() => true),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/**
 * Refuses calls on this side, in proportion to those that the server refused of late.
 * @throws InvalidOptionError
 */
export function createThrottle(options?: ThrottleOptions): Throttle;
export function createThrottle(name: string, options?: NameFirst<ThrottleOptions>): Throttle;
export function createThrottle(
  first?: string | ThrottleOptions,
  second?: NameFirst<ThrottleOptions>,
): Throttle {
  const options = nameFirst<ThrottleOptions>('createThrottle', first, second);
  const resolved = parseOptions('createThrottle', schema, options);
  const { name, tolerance, windowMs, isOverload, clock } = resolved;
  const random = safeRandom(`throttle ${name}`, resolved.random);
  const warn = warnOnce(`throttle ${name}: isOverload`);
  const requests = new WindowCount(windowMs, clock);
  const accepts = new WindowCount(windowMs, clock);
  let throttled = 0;

  const refusalProbability = (): number => {
    const sent = requests.total();
    return Math.max(0, (sent - tolerance * accepts.total()) / (sent + 1));
  };

  const tryAcquire = (): boolean => {
    const probability = refusalProbability();
    requests.add();
    if (probability === 0 || random() >= probability) return true;
    throttled += 1;
    return false;
  };

  return {
    name,
    tryAcquire,
    accepted: () => accepts.add(),
    async execute(fn, given) {
      checkCall('throttle.execute', fn, given);
      const signal = given?.signal;
      signal?.throwIfAborted();
      if (!tryAcquire()) {
        throw withoutStack(() => new ThrottledError(name, requests.total(), accepts.total()));
      }
      try {
        const value = await (signal === undefined ? fn(signal) : untilAborted(fn, signal, given));
        accepts.add();
        return value;
      } catch (error) {
        // An aborted call says nothing about the server; counted as accepted, it changes nothing.
        if (signal?.aborted === true) accepts.add();
        else {
          whenDecided(
            decide(warn, noOverload, () => isOverload(error)),
            (overloaded) => {
              if (!overloaded) accepts.add();
            },
          );
        }
        throw error;
      }
    },
    getStats: () => ({
      requestCount: requests.total(),
      acceptCount: accepts.total(),
      throttledCount: throttled,
      refusalProbability: refusalProbability(),
    }),
  };
}

/** Counts the events of the last window, in twelve steps. */
class WindowCount {
  readonly #buckets = new Float64Array(BUCKETS);
  readonly #bucketMs: number;
  readonly #clock: Clock;
  #latest: number;
  #total = 0;

  constructor(windowMs: number, clock: Clock) {
    this.#bucketMs = windowMs / BUCKETS;
    this.#clock = clock;
    this.#latest = this.#step();
  }

  add(): void {
    this.#dropOld();
    const index = this.#latest % BUCKETS;
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#total += 1;
  }

  total(): number {
    this.#dropOld();
    return this.#total;
  }

  #step(): number {
    return Math.floor(this.#clock.now() / this.#bucketMs);
  }

  /** Empties the buckets that are older than the window; after a long silence all of them. */
  #dropOld(): void {
    const current = this.#step();
    const passed = Math.min(BUCKETS, current - this.#latest);
    for (let step = 0; step < passed; step += 1) {
      const index = (current - step) % BUCKETS;
      this.#total -= this.#buckets[index] ?? 0;
      this.#buckets[index] = 0;
    }
    this.#latest = current;
  }
}
