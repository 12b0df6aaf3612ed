import { AsyncLocalStorage } from 'node:async_hooks';
import { HoldfastError, describeValue } from '@holdfast/foundation';

/** The work of a shared call has asked for a key that waits for this work itself. Nothing was started. */
export class CoalescerDeadlockError extends HoldfastError {
  readonly code = 'RESILIENCE_COALESCER_DEADLOCK';
  /** The key that was asked for. */
  readonly key: string;

  constructor(key: string, by: string) {
    super(
      `coalescer: the work of key ${describeValue(by)} asks for key ${describeValue(key)}, which waits for this ` +
        'work; call the inner work without the coalescer, or with a key of its own',
      { outcome: 'not-applied' },
    );
    this.key = key;
  }
}

/** The work of a shared call, as one that waits for others. It holds no result, because contexts live long. */
export class WaitingWork {
  readonly key: string;
  /** Created by the first wait, because most work has none. */
  #waits: Set<Wait> | undefined;

  constructor(key: string) {
    this.key = key;
  }

  /** Returns a function that ends the wait. */
  waitFor(other: WaitingWork): () => void {
    const wait: Wait = { for: other };
    const waits = (this.#waits ??= new Set());
    waits.add(wait);
    return () => waits.delete(wait);
  }

  /** Whether this work waits for `other`, or would wait for itself; through any number of others. */
  reaches(other: WaitingWork): boolean {
    const seen = new Set<WaitingWork>([this]);
    for (const work of seen) {
      if (work === other) return true;
      for (const wait of work.#waits ?? []) seen.add(wait.for);
    }
    return false;
  }
}

interface Wait {
  readonly for: WaitingWork;
}

/** The work that asks, of any coalescer: two of them can wait for each other as well. */
export const askingWork: AsyncLocalStorage<WaitingWork> = new AsyncLocalStorage();
