/** What one read knows of the writes that were accepted since it began. */
export interface ReadEpoch {
  /** Aborted by a write of the key: what was read may be older than that. */
  readonly signal: AbortSignal;
  /** Nobody asks any more. */
  end(): void;
}

/**
 * Tells the reads under way of the writes of their keys: bytes that were read before a write was accepted
 * must neither take the place of its local copy, nor go back to a backend by a repair.
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
