import type { Journal, JournalRecord, ReadLimits } from '@holdfast/journal';

interface Append {
  readonly payloads: readonly Uint8Array[];
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: Error) => void;
}

/** The disk of the model: the story decides what becomes durable, and when. */
export class ModelDisk {
  /** While it stalls, nothing becomes durable. */
  isStalled = false;
  /** The next append fails. */
  isFailing = false;
  #payloads: Uint8Array[] = [];
  #first = 1;
  #epoch = 0;
  #waiting: Append[] = [];

  /** Opens the journal for the next owner; the previous owner's journal does not answer any more. */
  open(): Journal {
    this.#epoch += 1;
    const epoch = this.#epoch;
    const on: Journal['on'] = () => () => undefined;
    const first = (): number => this.#first;
    const next = (): number => this.#next;
    const close = (): Promise<void> => Promise.resolve();
    return {
      id: 'the-journal',
      epoch,
      recovery: { records: 0, truncatedBytes: 0, checkpointLost: false, quarantined: [] },
      on,
      get first() {
        return first();
      },
      get next() {
        return next();
      },
      append: (payload) => this.#append(epoch, [payload]),
      appendAll: (payloads) => this.#append(epoch, payloads),
      read: (from, limits = {}) => Promise.resolve(this.#read(from, limits)),
      release: async (through) => {
        if (epoch === this.#epoch) this.#release(through);
      },
      getStats: () => ({
        state: 'open',
        records: next() - first(),
        bytes: 0,
        segments: 1,
        pendingRecords: 0,
        pendingBytes: 0,
        appended: 0,
        rejected: 0,
        released: first() - 1,
        commits: 0,
        syncs: 0,
        failedSegments: 0,
        quarantinedRanges: 0,
      }),
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  /** Makes all waiting writes durable. */
  flush(): void {
    for (const { payloads, resolve } of this.#waiting.splice(0)) resolve(this.#keep(payloads));
  }

  /** The process dies; this many of the records it was writing are complete. */
  tear(records: number): void {
    const written = this.#waiting.splice(0).flatMap(({ payloads }) => payloads);
    this.#keep(written.slice(0, records));
  }

  get #next(): number {
    return this.#first + this.#payloads.length;
  }

  #append(epoch: number, payloads: readonly Uint8Array[]): Promise<number> {
    if (epoch !== this.#epoch) return new Promise(() => undefined);
    if (this.isFailing) {
      this.isFailing = false;
      return Promise.reject(new Error('the disk failed'));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ payloads, resolve, reject });
      if (!this.isStalled) this.flush();
    });
  }

  #keep(payloads: readonly Uint8Array[]): number {
    const sequence = this.#next;
    this.#payloads.push(...payloads);
    return sequence;
  }

  #read(from: number, { maxRecords = 1_000 }: ReadLimits): JournalRecord[] {
    const start = Math.max(0, from - this.#first);
    return this.#payloads.slice(start, start + maxRecords).map((payload, index) => {
      return { sequence: this.#first + start + index, payload };
    });
  }

  #release(through: number): void {
    const released = Math.max(0, through + 1 - this.#first);
    this.#payloads.splice(0, released);
    this.#first += released;
  }
}
