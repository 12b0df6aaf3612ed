import { createHash } from 'node:crypto';

/** The random decisions; two runs with equal decisions have the same hash. */
export interface Decisions {
  /** SHA-256 of every decision so far. Decisions by a key count in any order. */
  readonly hash: string;
  readonly count: number;
  /** The latest decisions, oldest first; at most 1 000. */
  readonly latest: readonly string[];
}

export interface DecisionLog {
  /** @param options.isOrdered whether the hash depends on the order of this decision. Default true. */
  record(decision: string, options?: { isOrdered?: boolean }): void;
  read(): Decisions;
}

const MAX_LATEST = 1_000;
const HASH_BITS = 256;

export function createDecisionLog(): DecisionLog {
  const hash = createHash('sha256');
  let unordered: bigint | undefined;
  let latest: string[] = [];
  let count = 0;
  return {
    record(decision, { isOrdered = true } = {}) {
      count += 1;
      if (isOrdered) {
        hash.update(decision).update('\n');
      } else {
        const digest = createHash('sha256').update(decision).digest('hex');
        // A sum has no order.
        unordered = BigInt.asUintN(HASH_BITS, (unordered ?? 0n) + BigInt(`0x${digest}`));
      }
      latest.push(decision);
      if (latest.length >= 2 * MAX_LATEST) latest = latest.slice(-MAX_LATEST);
    },
    read() {
      const whole = hash.copy();
      if (unordered !== undefined) whole.update(unordered.toString(16));
      return { hash: whole.digest('hex'), count, latest: latest.slice(-MAX_LATEST) };
    },
  };
}
