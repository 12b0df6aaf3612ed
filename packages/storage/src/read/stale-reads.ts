/** The time from the start of a read of one key to its end. */
export interface ReadEpoch {
  /** Aborts when a write of the key is accepted: the bytes read may be older than that write. */
  readonly signal: AbortSignal;
  end(): void;
}

/**
 * Tells the reads in progress about accepted writes of their keys: bytes that were read before a write must
 * neither replace its local copy nor be written back to a backend by a repair.
 */
export class ReadEpochs {
  readonly #open = new Map<string, Set<AbortController>>();

  begin(key: string): ReadEpoch {
    const controller = new AbortController();
    const ofKey = this.#open.get(key) ?? new Set();
    this.#open.set(key, ofKey.add(controller));
    return {
      signal: controller.signal,
      end: () => {
        ofKey.delete(controller);
        if (ofKey.size === 0 && this.#open.get(key) === ofKey) this.#open.delete(key);
      },
    };
  }

  /** A write of the key was accepted. */
  invalidate(key: string): void {
    const ofKey = this.#open.get(key);
    if (ofKey === undefined) return;
    const reason = new Error('a write was accepted meanwhile');
    for (const controller of ofKey) controller.abort(reason);
  }
}
