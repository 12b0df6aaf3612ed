/** What calls count from the start of a database. */
export interface CallCounts {
  queries: number;
  queryTimeouts: number;
  replays: number;
  transactions: number;
  transactionRetries: number;
  commitsUnknown: number;
  commitsResolved: number;
  replicaReads: number;
  primaryFallbacks: number;
}

export function noCalls(): CallCounts {
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
