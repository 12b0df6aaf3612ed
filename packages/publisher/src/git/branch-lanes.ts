import { KeyedMutex, abortable } from '@holdfast/foundation';

/**
 * One push at a time for each branch of each remote, in the order of the calls: sessions that race for a branch push
 * many times what they push one after the other.
 */
export class BranchLanes {
  readonly #mutex = new KeyedMutex();

  /** Settles like `work`, which starts after all earlier work of its branch. Rejects as soon as the signal aborts. */
  run<T>(url: string, branch: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const turn = this.#mutex.run(JSON.stringify([url, branch]), async () => {
      signal.throwIfAborted();
      return work();
    });
    return abortable(turn, signal);
  }
}
