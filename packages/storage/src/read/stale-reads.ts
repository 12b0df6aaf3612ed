/** The object that a backend showed; without one it showed that there is none. */
export interface ShownObject {
  readonly backend: string;
  readonly object:
    | {
        readonly size?: number;
        readonly lastModifiedEpochMs?: number;
        readonly sha256?: string;
        /** The write that made it, if it bears a stamp. */
        readonly operationId?: string;
        readonly generation?: number;
      }
    | undefined;
}

/** The time from the start of a read of one key to its end. */
export interface ReadEpoch {
  readonly key: string;
  /** Aborts when a write of the key is accepted: the bytes read may be older than that write. */
  readonly signal: AbortSignal;
  /** What another read of the key showed last since this one began: its bytes may be older or newer than that. */
  readonly overtakenBy: ShownObject | undefined;
  end(): void;
}

interface OpenRead {
  readonly controller: AbortController;
  overtakenBy: ShownObject | undefined;
}

/**
 * Tells the reads in progress about accepted writes of their keys, and about what other reads have shown: bytes that
 * were read before a write must neither replace its local copy nor be written back to a backend by a repair.
 */
export class ReadEpochs {
  readonly #open = new Map<string, Set<OpenRead>>();

  begin(key: string): ReadEpoch {
    const read: OpenRead = { controller: new AbortController(), overtakenBy: undefined };
    const ofKey = this.#open.get(key) ?? new Set();
    this.#open.set(key, ofKey.add(read));
    return {
      key,
      signal: read.controller.signal,
      get overtakenBy() {
        return read.overtakenBy;
      },
      end: () => {
        ofKey.delete(read);
        if (ofKey.size === 0 && this.#open.get(key) === ofKey) this.#open.delete(key);
      },
    };
  }

  /** The keys that are being read. */
  get keys(): Iterable<string> {
    return this.#open.keys();
  }

  /** A write of the key was accepted. */
  invalidate(key: string): void {
    const ofKey = this.#open.get(key);
    if (ofKey === undefined) return;
    const reason = new Error('a write was accepted meanwhile');
    for (const { controller } of ofKey) controller.abort(reason);
  }

  /** A read of the key showed this; it overtakes those that are in progress. */
  overtake(key: string, shown: ShownObject): void {
    for (const read of this.#open.get(key) ?? []) read.overtakenBy = shown;
  }
}
