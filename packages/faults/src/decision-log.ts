import { createHash } from 'node:crypto';

/** The random decisions in order; two runs with equal decisions have the same hash. */
export interface Decisions {
  /** SHA-256 of every decision so far. */
  readonly hash: string;
  readonly count: number;
  /** The latest decisions, oldest first; at most 1 000. */
  readonly latest: readonly string[];
}

export interface DecisionLog {
  record(decision: string): void;
  read(): Decisions;
}

const MAX_LATEST = 1_000;

export function createDecisionLog(): DecisionLog {
  const hash = createHash('sha256');
  let latest: string[] = [];
  let count = 0;
  return {
    record(decision) {
      count += 1;
      hash.update(decision).update('\n');
      latest.push(decision);
      if (latest.length >= 2 * MAX_LATEST) latest = latest.slice(-MAX_LATEST);
    },
    read: () => ({ hash: hash.copy().digest('hex'), count, latest: latest.slice(-MAX_LATEST) }),
  };
}
