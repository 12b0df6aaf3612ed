import { type Clock, objectWith, number, parseOptions, systemClock } from '@holdfast/foundation';

/** The least a policy needs to spend extra calls from an allowance it shares with others. */
export interface CallBudget {
  /** A first call was made: it earns a share of an extra one. */
  deposit(): void;
  /** Takes one extra call out of the allowance; `false` when it is spent. */
  tryWithdraw(): boolean;
}

export interface RetryBudgetOptions {
  /** Extra calls earned by each first call, 0 to 1. Default 0.1: one retry for ten calls. */
  retryRatio?: number;
  /** The most extra calls that can be saved up; also what the budget begins with. Default 100. */
  maxSavedRetries?: number;
  /** Extra calls earned by time alone, so that rare callers may retry at all. Default 1. */
  minRetriesPerSecond?: number;
  clock?: Clock;
}

export interface RetryBudgetStats {
  /** Extra calls that could be made at this moment. */
  readonly available: number;
  readonly withdrawn: number;
  readonly refused: number;
}

/** An allowance of retries and hedges, shared by the calls that may overload the same dependency. */
export interface RetryBudget extends CallBudget {
  getStats(): RetryBudgetStats;
}

const shape = {
  retryRatio: number({ min: 0, max: 1, default: 0.1 }),
  maxSavedRetries: number({ min: 0, max: 1_000_000, default: 100 }),
  minRetriesPerSecond: number({ min: 0, max: 1_000_000, default: 1 }),
  clock: objectWith<Clock>(['now'], systemClock),
};

/**
 * Bounds how much retries can add to the load of a dependency in trouble: in the long run
 * `retryRatio` of the offered load and `minRetriesPerSecond`. It only ever refuses a further attempt;
 * what is already running is not touched.
 * Source of the scheme: Twitter Finagle, `RetryBudget` (deposits per call, a reserve per second).
 * @throws InvalidOptionError
 */
export function createRetryBudget(options?: RetryBudgetOptions): RetryBudget {
  const settled = parseOptions('createRetryBudget', shape, options);
  const { retryRatio, maxSavedRetries, minRetriesPerSecond, clock } = settled;
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
      // Ten deposits of a tenth sum to a hair less than one.
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
