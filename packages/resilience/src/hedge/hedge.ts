import { checkCall } from '../check-call.ts';
import { whenDecided } from '../decision.ts';
import { type CallBudget, createRetryBudget, safeBudget } from '../retry/retry-budget.ts';
import {
  callSafely,
  type Clock,
  objectWith,
  HoldfastError,
  integer,
  InvalidOptionError,
  number,
  optional,
  onAbort,
  parseOptions,
  type ResolvedOptions,
  systemClock,
  type Timer,
} from '@holdfast/foundation';
import { type FailedHedge, failureOfHedge } from './hedge-failed-error.ts';
import { LatencyQuantile } from './latency-quantile.ts';

/** Options of `createHedge`. All times in milliseconds. */
export interface HedgeOptions {
  /**
   * How long to wait for a success before the next attempt starts, in milliseconds. If it is left out, `quantile`
   * decides, and there is no hedging until `minimumCalls` have been measured.
   */
  delayMs?: number;
  /** The share of calls that are faster than the delay; not together with `delayMs`. Default 0.95. */
  quantile?: number;
  /** How many calls must be measured before the quantile is used. Default 20. */
  minimumCalls?: number;
  /** Latencies older than twice this are dropped, in milliseconds. Default 60 000. */
  windowMs?: number;
  /** Additional attempts, at most. Default 1. */
  maxHedges?: number;
  /** The allowance for hedges, best shared with the retries. By default one hedge for ten calls. */
  budget?: CallBudget;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** What a hedge has started and won, read at any time. */
export interface HedgeStats {
  readonly callCount: number;
  /** Additional attempts started. */
  readonly hedgeCount: number;
  /** Calls that an additional attempt answered. */
  readonly hedgeWinCount: number;
  /** Additional attempts that the budget refused. */
  readonly refusedCount: number;
  /** The current delay; `undefined` while too few calls have been measured. */
  readonly delayMs: number | undefined;
}

/** The abort reason for an attempt when another attempt of the same call was faster. */
export class HedgeLostError extends HoldfastError {
  readonly code = 'RESILIENCE_HEDGE_LOST';

  constructor() {
    super('another attempt of the same call answered first', { outcome: 'unknown' });
  }
}

/** Options of one call through a hedge. */
export interface HedgeCallOptions<T = unknown> {
  /** An abort rejects the call at once with the signal's own reason, and aborts every attempt. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Receives the value of an attempt that lost against another, or that arrives after an abort, such as a connection
   * to close.
   */
  readonly onDiscarded?: ((value: T) => unknown) | undefined;
}

/**
 * Starts another attempt when the first one is slow, takes the first result and aborts the other attempts. Only
 * for calls that may be made twice. A failed attempt is not repeated, `retry` does that; the call rejects
 * when every started attempt has failed.
 */
export interface Hedge {
  /**
   * @throws the failure of the only attempt; HedgeFailedError when several failed; the signal's own reason as soon as it
   * aborts.
   */
  execute<T>(
    fn: (signal: AbortSignal, attemptNumber: number) => T | PromiseLike<T>,
    options?: HedgeCallOptions<T>,
  ): Promise<T>;
  getStats(): HedgeStats;
}

const schema = {
  delayMs: optional(integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
  quantile: optional(number({ min: 0.01, max: 0.999 })),
  minimumCalls: integer({ min: 1, max: 1_000_000, default: 20 }),
  windowMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 60_000 }),
  maxHedges: integer({ min: 1, max: 10, default: 1 }),
  budget: optional(objectWith<CallBudget>(['deposit', 'tryWithdraw'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Starts another attempt when the first takes unusually long, and takes the first success.
 * @throws InvalidOptionError
 */
export function createHedge(options?: HedgeOptions): Hedge {
  const resolved = parseOptions('createHedge', schema, options);
  if (resolved.delayMs !== undefined && resolved.quantile !== undefined) {
    const permitted = 'left out when delayMs is given';
    throw new InvalidOptionError('createHedge', 'quantile', resolved.quantile, permitted);
  }
  return new BudgetedHedge(resolved);
}

type HedgeWork<T> = (signal: AbortSignal, attemptNumber: number) => T | PromiseLike<T>;

class BudgetedHedge implements Hedge {
  readonly clock: Clock;
  readonly maxHedges: number;
  readonly budget: CallBudget;
  readonly latencies: LatencyQuantile | undefined;
  hedges = 0;
  hedgeWins = 0;
  refused = 0;
  readonly #options: ResolvedOptions<typeof schema>;
  #calls = 0;

  constructor(options: ResolvedOptions<typeof schema>) {
    const { clock, maxHedges, delayMs, quantile, windowMs } = options;
    this.#options = options;
    this.clock = clock;
    this.maxHedges = maxHedges;
    this.budget =
      options.budget === undefined
        ? createRetryBudget({ clock })
        : safeBudget('hedge', options.budget);
    if (delayMs === undefined) {
      this.latencies = new LatencyQuantile(quantile ?? 0.95, windowMs, clock);
    }
  }

  async execute<T>(fn: HedgeWork<T>, options?: HedgeCallOptions<T>): Promise<T> {
    checkCall('hedge.execute', fn, options);
    const signal = options?.signal;
    signal?.throwIfAborted();
    this.#calls += 1;
    this.budget.deposit();
    return new Promise((resolve, reject) => {
      new HedgedCall(this, fn, options, resolve, reject).start();
    });
  }

  getStats(): HedgeStats {
    return {
      callCount: this.#calls,
      hedgeCount: this.hedges,
      hedgeWinCount: this.hedgeWins,
      refusedCount: this.refused,
      delayMs: this.delayMs(),
    };
  }

  delayMs(): number | undefined {
    const { latencies } = this;
    if (latencies === undefined) return this.#options.delayMs;
    return latencies.count < this.#options.minimumCalls ? undefined : latencies.estimateMs();
  }
}

/** One call: its attempts race until one succeeds, all have failed, or the caller aborts. */
class HedgedCall<T> {
  readonly #hedge: BudgetedHedge;
  readonly #fn: HedgeWork<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #startMs: number;
  readonly #onDiscarded: ((value: T) => unknown) | undefined;
  readonly #attempts: AbortController[] = [];
  readonly #removeAbortListener: () => void;
  readonly #failed: FailedHedge[] = [];
  #settled = false;
  #timer: Timer | undefined;

  constructor(
    hedge: BudgetedHedge,
    fn: HedgeWork<T>,
    options: HedgeCallOptions<T> | undefined,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#hedge = hedge;
    this.#fn = fn;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#startMs = hedge.clock.now();
    this.#onDiscarded = options?.onDiscarded;
    const signal = options?.signal;
    this.#removeAbortListener = onAbort(signal, () => {
      this.#end();
      reject(signal?.reason);
      for (const attempt of this.#attempts) attempt.abort(signal?.reason);
    });
  }

  start(): void {
    void this.#attempt();
    this.#armHedge();
  }

  async #attempt(): Promise<void> {
    const controller = new AbortController();
    this.#attempts.push(controller);
    const attemptNumber = this.#attempts.length;
    try {
      const value = await this.#fn(controller.signal, attemptNumber);
      if (!this.#settled) this.#succeed(value, controller, attemptNumber);
      else if (this.#onDiscarded !== undefined) {
        callSafely('onDiscarded', this.#onDiscarded, value);
      }
    } catch (error) {
      if (!this.#settled) this.#fail({ attemptNumber, error });
    }
  }

  #succeed(value: T, winner: AbortController, attemptNumber: number): void {
    const { latencies, clock } = this.#hedge;
    // If the first attempt lost, this is only a lower bound of its latency; it is still above the delay.
    latencies?.record(clock.now() - this.#startMs);
    if (attemptNumber > 1) this.#hedge.hedgeWins += 1;
    this.#end();
    this.#resolve(value);
    if (this.#attempts.length === 1) return;
    const reason = new HedgeLostError();
    // The winner's signal does not abort: a response body may still be streaming.
    for (const attempt of this.#attempts) if (attempt !== winner) attempt.abort(reason);
  }

  #fail(failure: FailedHedge): void {
    this.#failed.push(failure);
    if (this.#failed.length < this.#attempts.length) return;
    this.#end();
    this.#reject(failureOfHedge(this.#failed));
  }

  /** The call is settled: removes timer and listener. */
  #end(): void {
    this.#settled = true;
    this.#timer?.cancel();
    this.#removeAbortListener();
  }

  #armHedge(): void {
    const { clock, maxHedges } = this.#hedge;
    const delayMs = this.#attempts.length <= maxHedges ? this.#hedge.delayMs() : undefined;
    if (delayMs === undefined || this.#settled) return;
    // The running attempt keeps the process alive; the wait for the next one need not.
    this.#timer = clock.schedule(delayMs, () => this.#startHedge(), { holdsProcess: false });
  }

  #startHedge(): void {
    whenDecided(this.#hedge.budget.tryWithdraw(), (granted) => this.#hedgeIf(granted));
  }

  #hedgeIf(granted: boolean): void {
    if (this.#settled) return;
    if (!granted) {
      this.#hedge.refused += 1;
      return;
    }
    this.#hedge.hedges += 1;
    void this.#attempt();
    this.#armHedge();
  }
}
