import { type CallBudget, createRetryBudget } from '../retry/retry-budget.ts';
import {
  type Clock,
  objectWith,
  HoldfastError,
  integer,
  InvalidOptionError,
  number,
  optional,
  parseOptions,
  systemClock,
  type Timer,
} from '@holdfast/foundation';
import { LatencyQuantile } from './latency-quantile.ts';

export interface HedgeOptions {
  /**
   * When the next attempt starts if none has succeeded, in milliseconds. Left out, `quantile` decides,
   * and there is no hedging until `minimumCalls` have been measured.
   */
  delayMs?: number;
  /** The share of calls expected to be faster than the delay; not together with `delayMs`. Default 0.95. */
  quantile?: number;
  /** How many calls have to be measured before their quantile counts. Default 20. */
  minimumCalls?: number;
  /** Latencies older than twice this are forgotten, in milliseconds. Default 60 000. */
  windowMs?: number;
  /** Further attempts beside the first. Default 1. */
  maxHedges?: number;
  /** What hedges are paid from, best shared with the retries. By default one for ten calls. */
  budget?: CallBudget;
  clock?: Clock;
}

export interface HedgeStats {
  readonly callCount: number;
  /** Further attempts started. */
  readonly hedgeCount: number;
  /** Calls that a further attempt answered. */
  readonly hedgeWinCount: number;
  /** Further attempts that the budget refused. */
  readonly refusedCount: number;
  /** The delay as it stands now; `undefined` while too few calls have been measured. */
  readonly delayMs: number | undefined;
}

/** The reason in the signal of an attempt that another one was faster than. */
export class HedgeLostError extends HoldfastError {
  readonly code = 'RESILIENCE_HEDGE_LOST';

  constructor() {
    super('another attempt of the same call answered first', { outcome: 'unknown' });
  }
}

/**
 * Starts a second attempt when the first is slow, takes whichever answers first and aborts the others.
 * Only for calls that may be made twice. A failing attempt is not hedged, that is what `retry` is for; the call
 * fails, with the first failure, when every started attempt has failed.
 */
export interface Hedge {
  /** @throws the first attempt's failure, or the signal's own reason at the moment of its abort. */
  execute<T>(
    fn: (signal: AbortSignal, attemptNumber: number) => T | PromiseLike<T>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<T>;
  getStats(): HedgeStats;
}

const shape = {
  delayMs: optional(integer({ min: 0, max: Number.MAX_SAFE_INTEGER })),
  quantile: optional(number({ min: 0.01, max: 0.999 })),
  minimumCalls: integer({ min: 1, max: 1_000_000, default: 20 }),
  windowMs: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 60_000 }),
  maxHedges: integer({ min: 1, max: 10, default: 1 }),
  budget: optional(objectWith<CallBudget>(['deposit', 'tryWithdraw'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError */
export function createHedge(options?: HedgeOptions): Hedge {
  const settled = parseOptions('createHedge', shape, options);
  const { minimumCalls, maxHedges, windowMs, clock } = settled;
  if (settled.delayMs !== undefined && settled.quantile !== undefined) {
    const permitted = 'left out when delayMs is given';
    throw new InvalidOptionError('createHedge', 'quantile', settled.quantile, permitted);
  }
  const budget = settled.budget ?? createRetryBudget({ clock });
  const latencies =
    settled.delayMs === undefined
      ? new LatencyQuantile(settled.quantile ?? 0.95, windowMs, clock)
      : undefined;
  let calls = 0;
  let hedges = 0;
  let hedgeWins = 0;
  let refused = 0;

  const delayMs = (): number | undefined => {
    if (latencies === undefined) return settled.delayMs;
    return latencies.count < minimumCalls ? undefined : latencies.estimateMs();
  };

  const race = <T>(
    fn: (signal: AbortSignal, attemptNumber: number) => T | PromiseLike<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> =>
    new Promise((resolve, reject) => {
      const startedMs = clock.now();
      const attempts: AbortController[] = [];
      let failed = 0;
      let firstFailure: unknown;
      let settledAlready = false;
      let timer: Timer | undefined;

      /** The call is decided: no timer and no listener stays behind. */
      const end = (): void => {
        settledAlready = true;
        timer?.cancel();
        signal?.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        end();
        reject(signal?.reason);
        for (const attempt of attempts) attempt.abort(signal?.reason);
      };

      const start = async (): Promise<void> => {
        const controller = new AbortController();
        attempts.push(controller);
        const attemptNumber = attempts.length;
        try {
          const value = await fn(controller.signal, attemptNumber);
          if (settledAlready) return;
          // Of a first attempt that lost only a lower bound is known; it still lies above the delay.
          latencies?.record(clock.now() - startedMs);
          if (attemptNumber > 1) hedgeWins += 1;
          end();
          resolve(value);
          if (attempts.length > 1) abandon(controller);
        } catch (error) {
          if (settledAlready) return;
          if (failed === 0) firstFailure = error;
          failed += 1;
          if (failed < attempts.length) return;
          end();
          reject(firstFailure);
        }
      };

      /** The winner's signal stays as it is: a body may still be streaming. */
      const abandon = (winner: AbortController): void => {
        const reason = new HedgeLostError();
        for (const attempt of attempts) if (attempt !== winner) attempt.abort(reason);
      };

      const armHedge = (): void => {
        const waitMs = attempts.length <= maxHedges ? delayMs() : undefined;
        if (waitMs === undefined || settledAlready) return;
        // The attempt under way is what the process lives for, not the wait for the next one.
        timer = clock.schedule(waitMs, hedge, { holdsProcess: false });
      };
      const hedge = (): void => {
        if (!budget.tryWithdraw()) {
          refused += 1;
          return;
        }
        hedges += 1;
        void start();
        armHedge();
      };

      signal?.addEventListener('abort', onAbort, { once: true });
      void start();
      armHedge();
    });

  return {
    async execute(fn, given) {
      const signal = given?.signal;
      signal?.throwIfAborted();
      calls += 1;
      budget.deposit();
      return race(fn, signal);
    },
    getStats: () => ({
      callCount: calls,
      hedgeCount: hedges,
      hedgeWinCount: hedgeWins,
      refusedCount: refused,
      delayMs: delayMs(),
    }),
  };
}
