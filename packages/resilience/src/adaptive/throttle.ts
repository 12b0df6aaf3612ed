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

export interface ThrottleOptions {
  /** Appears in errors. Default `throttle`. */
  name?: string;
  /**
   * How many times the accepted calls may be attempted before throttling begins. Lower is stricter; 2
   * lets half of what is sent be refused. Default 2.
   */
  tolerance?: number;
  /** How far back calls count, in milliseconds. Default 120 000. */
  windowMs?: number;
  /** Which failures mean that the server refused for overload. By default every one. */
  isOverload?: (error: unknown) => boolean;
  clock?: Clock;
  random?: Random;
}

/** The server has refused so many calls of late that this one was not sent. */
export class ThrottledError extends HoldfastError {
  readonly code = 'RESILIENCE_THROTTLED';

  constructor(throttle: string, requests: number, accepts: number) {
    super(
      `throttle ${throttle}: the server accepted ${accepts} of the last ${requests} calls; this one was not sent`,
      { retryable: true, outcome: 'not-applied' },
    );
  }
}

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
 * Spares an overloaded server the calls it would refuse anyway: the larger the share it refuses, the
 * larger the share that is not even sent. Calls keep trickling through, so that its recovery is noticed.
 * Source: Google, "Site Reliability Engineering", 2016, chapter 21, client-side throttling.
 */
export interface Throttle {
  readonly name: string;
  /** Counts a call, and decides whether it may be sent. */
  tryAcquire(): boolean;
  /** The server accepted a call, whatever it answered. */
  accepted(): void;
  /** @throws ThrottledError, what `fn` threw, or the signal's own reason. */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<T>;
  getStats(): ThrottleStats;
}

const BUCKETS = 12;

const shape = {
  name: string({ maxLength: 200, default: 'throttle' }),
  tolerance: number({ min: 1, max: 100, default: 2 }),
  windowMs: integer({ min: BUCKETS, max: Number.MAX_SAFE_INTEGER, default: 120_000 }),
  isOverload: callback<(error: unknown) => boolean>(() => true),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** @throws InvalidOptionError */
export function createThrottle(options?: ThrottleOptions): Throttle {
  const settled = parseOptions('createThrottle', shape, options);
  const { name, tolerance, windowMs, isOverload, clock, random } = settled;
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
      const signal = given?.signal;
      signal?.throwIfAborted();
      if (!tryAcquire()) {
        throw withoutStack(() => new ThrottledError(name, requests.total(), accepts.total()));
      }
      try {
        const value = await fn(signal);
        accepts.add();
        return value;
      } catch (error) {
        // A caller who left says nothing about the server; counted as accepted, it changes nothing.
        if (signal?.aborted === true || !isOverload(error)) accepts.add();
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

/** Counts what happened within the last window, in twelve steps. */
class WindowCount {
  readonly #buckets = new Float64Array(BUCKETS);
  readonly #bucketMs: number;
  readonly #clock: Clock;
  #latest: number;
  #total = 0;

  constructor(windowMs: number, clock: Clock) {
    this.#bucketMs = windowMs / BUCKETS;
    this.#clock = clock;
    this.#latest = this.#turn();
  }

  add(): void {
    this.#forget();
    const index = this.#latest % BUCKETS;
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#total += 1;
  }

  total(): number {
    this.#forget();
    return this.#total;
  }

  #turn(): number {
    return Math.floor(this.#clock.now() / this.#bucketMs);
  }

  /** Empties the buckets that time has passed over, all of them after a long silence. */
  #forget(): void {
    const turn = this.#turn();
    const passed = Math.min(BUCKETS, turn - this.#latest);
    for (let step = 0; step < passed; step += 1) {
      const index = (turn - step) % BUCKETS;
      this.#total -= this.#buckets[index] ?? 0;
      this.#buckets[index] = 0;
    }
    this.#latest = turn;
  }
}
