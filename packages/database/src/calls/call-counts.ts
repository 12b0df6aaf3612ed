import type { DatabaseStats } from '../database.ts';

/** Counters of calls since the start of a database. */
export type CallCounts = { -readonly [Name in Exclude<keyof DatabaseStats, 'hosts'>]: number };

export function createCallCounts(): CallCounts {
  return {
    queries: 0,
    queryTimeouts: 0,
    replays: 0,
    transactions: 0,
    transactionRetries: 0,
    commitsUnknown: 0,
    commitsResolved: 0,
    replicaReads: 0,
    primaryFallbacks: 0,
  };
}
