import { type Clock, LinkedList, type ListNode, OrderedMap, onAbort } from '@holdfast/foundation';
import type { StorageFailure } from '../backend.ts';
import type { Operation } from '../journal/operation.ts';

/** How the wait for the primary ended. */
type PrimaryWaitResult =
  | { readonly kind: 'primary' }
  | { readonly kind: 'queued' }
  | { readonly kind: 'refused'; readonly failure: StorageFailure };

/** How far the primary is with the writes of one key. */
interface PrimaryProgress {
  readonly key: string;
  readonly settledGeneration: number;
  /** Why it refuses the newest write for good. */
  readonly refusal: StorageFailure | undefined;
}

interface Waiter extends ListNode {
  readonly operation: Operation;
  readonly end: (result: PrimaryWaitResult) => void;
}

/** The callers who wait for the primary to have their write. */
export class PrimaryWaits {
  readonly #clock: Clock;
  readonly #waiters = new OrderedMap<LinkedList<Waiter>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves after `withinMs` at the latest; rejects with the signal's own reason. */
  wait(
    operation: Operation,
    withinMs: number,
    signal: AbortSignal | undefined,
  ): Promise<PrimaryWaitResult> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        timer.cancel();
        stopListening();
        const waiters = this.#waiters.get(operation.key);
        waiters?.remove(waiter);
        if (waiters?.size === 0) this.#waiters.delete(operation.key);
      };
      const waiter: Waiter = {
        list: undefined,
        previous: undefined,
        next: undefined,
        operation,
        end(result) {
          leave();
          resolve(result);
        },
      };
      const abort = (): void => {
        leave();
        reject(signal?.reason);
      };
      const timer = this.#clock.schedule(withinMs, () => waiter.end({ kind: 'queued' }));
      const stopListening = onAbort(signal, abort);
      const waiters = this.#waiters.get(operation.key) ?? new LinkedList<Waiter>();
      waiters.append(waiter);
      this.#waiters.set(operation.key, waiters);
      if (signal?.aborted === true) abort();
    });
  }

  /** Ends the waits of a key that are decided after a delivery to the primary. */
  notify({ key, settledGeneration, refusal }: PrimaryProgress, newest: Operation): void {
    for (const { operation, end } of this.#waiters.get(key) ?? []) {
      if (settledGeneration >= operation.generation) end({ kind: 'primary' });
      else if (operation === newest && refusal !== undefined) {
        end({ kind: 'refused', failure: refusal });
      }
    }
  }

  /** Ends every wait, because the primary takes no writes now. */
  releaseAll(): void {
    for (const waiters of this.#waiters.values()) {
      for (const { end } of waiters) end({ kind: 'queued' });
    }
  }
}
