import { type Clock, LinkedList, type ListNode, OrderedMap } from '@holdfast/foundation';
import type { BackendFailure } from '../backend.ts';
import type { KeyReplica } from '../replication/key-replica.ts';
import type { Operation } from '../journal/operation.ts';

/** What became of the wait for the primary. */
export type Acknowledgement =
  | { readonly kind: 'primary' }
  | { readonly kind: 'queued' }
  | { readonly kind: 'refused'; readonly failure: BackendFailure };

interface Waiter extends ListNode {
  readonly operation: Operation;
  readonly tell: (acknowledgement: Acknowledgement) => void;
}

/** Those who wait for the primary to have their write. */
export class PrimaryWaits {
  readonly #clock: Clock;
  readonly #waiters = new OrderedMap<LinkedList<Waiter>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when it is known, or given up; rejects with the signal's own reason. */
  wait(
    operation: Operation,
    withinMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Acknowledgement> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        const waiters = this.#waiters.get(operation.key);
        waiters?.remove(waiter);
        if (waiters?.size === 0) this.#waiters.delete(operation.key);
      };
      const waiter: Waiter = {
        list: undefined,
        previous: undefined,
        next: undefined,
        operation,
        tell(acknowledgement) {
          end();
          resolve(acknowledgement);
        },
      };
      const onAbort = (): void => {
        end();
        reject(signal?.reason);
      };
      const timer = this.#clock.schedule(withinMs, () => waiter.tell({ kind: 'queued' }));
      signal?.addEventListener('abort', onAbort, { once: true });
      const waiters = this.#waiters.get(operation.key) ?? new LinkedList<Waiter>();
      waiters.append(waiter);
      this.#waiters.set(operation.key, waiters);
      if (signal?.aborted === true) onAbort();
    });
  }

  /** The primary's lane has had a turn. */
  notify(lane: KeyReplica, newest: Operation): void {
    for (const { operation, tell } of this.#waiters.get(lane.key) ?? []) {
      if (lane.settledGeneration >= operation.generation) tell({ kind: 'primary' });
      else if (operation === newest && lane.refusal !== undefined) {
        tell({ kind: 'refused', failure: lane.refusal });
      }
    }
  }

  /** The primary takes no writes for now: nobody waits for it. */
  releaseAll(): void {
    for (const waiters of this.#waiters.values()) {
      for (const { tell } of waiters) tell({ kind: 'queued' });
    }
  }
}
