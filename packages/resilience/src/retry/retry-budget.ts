import { type Clock, objectWith, number, parseOptions, systemClock } from '@holdfast/foundation';
import { decide, warnOnce, yesOrNo } from '../decision.ts';

/** The part of a budget that a policy needs to spend extra calls from a shared allowance. */
export interface CallBudget {
  /** A first attempt was made: it earns a share of an extra call. */
  deposit(): void;
  /** Takes one extra call from the allowance; `false` when it is spent. A promise is awaited. */
  tryWithdraw(): boolean | Promise<boolean>;
}

/** Options of `createRetryBudget`. */
export interface RetryBudgetOptions {
  /** Extra calls earned by each first attempt, 0 to 1. Default 0.1: one retry for ten calls. */
  retryRatio?: number;
  /** The most extra calls that can be saved; the budget also starts with them. Default 100. */
  maxSavedRetries?: number;
  /** Extra calls earned by time alone, so that rare calls may be retried. Default 1. */
  minRetriesPerSecond?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** What a budget has left and what it was asked for, read at any time. */
export interface RetryBudgetStats {
  /** Extra calls that are available now. */
  readonly available: number;
  readonly withdrawn: number;
  readonly refused: number;
}

/** An allowance of retries and hedges, shared by the calls that may overload the same dependency. */
export interface RetryBudget extends CallBudget {
  tryWithdraw(): boolean;
  getStats(): RetryBudgetStats;
}

/** A user's budget, which grants no extra call when it fails, and whose errors are only warnings. */
export function safeBudget(name: string, budget: CallBudget): CallBudget {
  const warn = warnOnce(`${name}: budget`);
  const granted = yesOrNo(false);
  return {
    deposit: () => void decide(warn, ignored, () => budget.deposit()),
    tryWithdraw: () => decide(warn, granted, () => budget.tryWithdraw()),
  };
}

const ignored = { permitted: 'anything', parse: () => true, otherwise: true };

const schema = {
  retryRatio: number({ min: 0, max: 1, default: 0.1 }),
  maxSavedRetries: number({ min: 0, max: 1_000_000, default: 100 }),
  minRetriesPerSecond: number({ min: 0, max: 1_000_000, default: 1 }),
  clock: objectWith<Clock>(['now'], systemClock),
};

/**
 * Bounds the load that retries add to a failing dependency: in the long run `retryRatio` of the offered load plus
 * `minRetriesPerSecond`. It refuses further attempts only; running ones continue.
 * Source of the scheme: Twitter Finagle, `RetryBudget` (deposits per call, a reserve per second).
 * @throws InvalidOptionError
 */
export function createRetryBudget(options?: RetryBudgetOptions): RetryBudget {
  const resolved = parseOptions('createRetryBudget', schema, options);
  const { retryRatio, maxSavedRetries, minRetriesPerSecond, clock } = resolved;
  let saved = maxSavedRetries;
  let refilledMs = clock.now();
  let withdrawn = 0;
  let refused = 0;

  const refill = (): void => {
    const nowMs = clock.now();
    const earned = ((nowMs - refilledMs) / 1_000) * minRetriesPerSecond;
    saved = Math.min(maxSavedRetries, saved + earned);
    refilledMs = nowMs;
  };

  return {
    deposit() {
      saved = Math.min(maxSavedRetries, saved + retryRatio);
    },
    tryWithdraw() {
      refill();
      // Ten deposits of a tenth add up to slightly less than one.
      if (saved < 1 - 1e-9) {
        refused += 1;
        return false;
      }
      saved = Math.max(0, saved - 1);
      withdrawn += 1;
      return true;
    },
    getStats() {
      refill();
      return { available: Math.floor(saved + 1e-9), withdrawn, refused };
    },
  };
}
