// Not the global one, which a test may fake: no append would ever resolve.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { type Emitter, type Subscribe, createEmitter } from '@holdfast/foundation';
import { type JournalLimits, admit } from './commit/admission.ts';
import { JournalClosedError, JournalFullError } from './errors.ts';
import {
  type Journal,
  type JournalEvents,
  type JournalRecord,
  type JournalRecovery,
  type JournalStats,
  type ReadLimits,
  journalEventKinds,
} from './journal.ts';
import {
  type JournalLimitOptions,
  checkSequence,
  parseMemoryOptions,
  parseReadLimits,
} from './options.ts';
import { FRAME_BYTES } from './segments/segment-format.ts';

/** Released records are dropped when there are this many, and they are half of all. */
const COMPACT_AT = 1_024;

/**
 * A journal without a file: the same contract, for as long as the process lives.
 * @throws InvalidOptionError
 */
export function createMemoryJournal(options?: JournalLimitOptions): Journal {
  const limits = parseMemoryOptions(options);
  return new MemoryJournal({ ...limits, maxPendingBytes: limits.maxBytes });
}

class MemoryJournal implements Journal {
  readonly id = randomUUID();
  readonly epoch = 1;
  readonly recovery: JournalRecovery = {
    records: 0,
    truncatedBytes: 0,
    checkpointLost: false,
    quarantined: [],
  };
  readonly on: Subscribe<JournalEvents>;
  readonly #limits: JournalLimits;
  readonly #emitter: Emitter<JournalEvents> = createEmitter('holdfast:journal', journalEventKinds);
  #payloads: Uint8Array[] = [];
  /** The sequence of `#payloads[0]`; sequences below `#first` are released. */
  #base = 1;
  #first = 1;
  #heldBytes = 0;
  #rejected = 0;
  #commits = 0;
  #isFull = false;
  #closed = false;
  #turn: Promise<void> | undefined;

  constructor(limits: JournalLimits) {
    this.#limits = limits;
    this.on = this.#emitter.on;
  }

  get first(): number {
    return this.#first;
  }

  get next(): number {
    return this.#base + this.#payloads.length;
  }

  append(payload: Uint8Array): Promise<number> {
    return this.#add([payload], 'append');
  }

  appendAll(payloads: readonly Uint8Array[]): Promise<number> {
    return this.#add(payloads, 'appendAll');
  }

  async read(from: number, limits?: ReadLimits): Promise<JournalRecord[]> {
    const { maxRecords, maxBytes, signal } = parseReadLimits(limits);
    checkSequence('read', 'from', from, Number.MAX_SAFE_INTEGER);
    if (this.#closed) throw new JournalClosedError('read');
    signal?.throwIfAborted();
    const records: JournalRecord[] = [];
    let bytes = 0;
    for (let sequence = Math.max(from, this.#first); sequence < this.next; sequence += 1) {
      const payload = this.#payloads[sequence - this.#base];
      if (payload === undefined || records.length === maxRecords) break;
      bytes += payload.byteLength;
      if (records.length > 0 && bytes > maxBytes) break;
      records.push({ sequence, payload });
    }
    return records;
  }

  async release(through: number): Promise<void> {
    if (this.#closed) throw new JournalClosedError('release');
    checkSequence('release', 'through', through, this.next - 1);
    while (this.#first <= through) {
      const bytes = this.#payloads[this.#first - this.#base]?.byteLength ?? 0;
      this.#heldBytes -= FRAME_BYTES + bytes;
      this.#first += 1;
    }
    const released = this.#first - this.#base;
    if (released >= COMPACT_AT && released * 2 >= this.#payloads.length) {
      this.#payloads = this.#payloads.slice(released);
      this.#base = this.#first;
    }
  }

  getStats(): JournalStats {
    return {
      state: this.#closed ? 'closed' : 'open',
      records: this.#closed ? 0 : this.next - this.#first,
      bytes: this.#heldBytes,
      segments: 0,
      pendingRecords: 0,
      pendingBytes: 0,
      appended: this.next - 1,
      rejected: this.#rejected,
      released: this.#first - 1,
      commits: this.#commits,
      syncs: 0,
      failedSegments: 0,
      quarantinedRanges: 0,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#base = this.next;
    this.#payloads = [];
    this.#heldBytes = 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #add(payloads: readonly Uint8Array[], method: string): Promise<number> {
    const sequence = this.next;
    try {
      if (this.#closed) throw new JournalClosedError(method);
      this.#heldBytes += admit(payloads, this.#limits, {
        heldBytes: this.#heldBytes,
        heldRecords: sequence - this.#first,
        pendingBytes: 0,
        pendingRecords: 0,
      });
    } catch (error) {
      this.#rejected += payloads.length;
      if (error instanceof JournalFullError && !this.#isFull) {
        this.#isFull = true;
        this.#emitter.emit('full', error);
      }
      throw error;
    }
    this.#isFull = false;
    this.#commits += 1;
    addCopies(this.#payloads, payloads);
    await this.#nextTurn();
    return sequence;
  }

  /**
   * Resolves in the next turn of the event loop, as a disk does: callers who append again at once would
   * otherwise keep timers and sockets from running. All appends of one turn share the promise.
   */
  #nextTurn(): Promise<void> {
    return (this.#turn ??= nextTurn().then(() => {
      this.#turn = undefined;
    }));
  }
}

/** Adds copies of all payloads, which share one block of memory: a block for each costs more than its bytes. */
function addCopies(kept: Uint8Array[], payloads: readonly Uint8Array[]): void {
  const block = new Uint8Array(payloads.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  for (const payload of payloads) {
    block.set(payload, offset);
    kept.push(block.subarray(offset, offset + payload.byteLength));
    offset += payload.byteLength;
  }
}
