import { randomUUID } from 'node:crypto';
import { createEmitter } from '@holdfast/foundation';
import { admit } from './commit/admission.ts';
import { JournalClosedError, JournalFullError } from './errors.ts';
import {
  type JournalLimitOptions,
  checkSequence,
  parseMemoryOptions,
  parseReadLimits,
} from './options.ts';
import type { Journal, JournalEvents, JournalRecord } from './journal.ts';
import { FRAME_BYTES } from './segments/segment-format.ts';

/** Released records are forgotten when they are this many, and half of all. */
const COMPACT_AT = 1_024;

/**
 * A journal without a file: the same contract, for as long as the process lives.
 * @throws InvalidOptionError
 */
export function createMemoryJournal(options?: JournalLimitOptions): Journal {
  const settings = parseMemoryOptions(options);
  const limits = { ...settings, maxPendingBytes: settings.maxBytes };
  const announcer = createEmitter<JournalEvents>('holdfast:journal');
  let payloads: Uint8Array[] = [];
  /** The sequence of `payloads[0]`; those below `first` are released. */
  let base = 1;
  let first = 1;
  let heldBytes = 0;
  let rejected = 0;
  let commits = 0;
  let isFull = false;
  let closed = false;

  let turn: Promise<void> | undefined;

  const next = (): number => base + payloads.length;

  /**
   * As with a disk, a turn of the event loop: callers who append again as soon as they are told would otherwise
   * keep timers and sockets from ever having theirs. Shared by all who append in the same one.
   */
  const nextTurn = (): Promise<void> =>
    (turn ??= new Promise((resolve) => {
      setImmediate(() => {
        turn = undefined;
        resolve();
      });
    }));

  const add = async (added: readonly Uint8Array[], attempted: string): Promise<number> => {
    try {
      if (closed) throw new JournalClosedError(attempted);
      const usage = { heldBytes, heldRecords: next() - first, pendingBytes: 0, pendingRecords: 0 };
      heldBytes += admit(added, limits, usage);
    } catch (error) {
      rejected += added.length;
      if (error instanceof JournalFullError && !isFull) {
        isFull = true;
        announcer.emit('full', error);
      }
      throw error;
    }
    isFull = false;
    commits += 1;
    const sequence = next();
    keepCopies(payloads, added);
    await nextTurn();
    return sequence;
  };

  const close = async (): Promise<void> => {
    closed = true;
    base = next();
    payloads = [];
    heldBytes = 0;
  };

  return {
    id: randomUUID(),
    epoch: 1,
    recovery: { records: 0, truncatedBytes: 0, checkpointLost: false, quarantined: [] },
    on: announcer.on,
    get first() {
      return first;
    },
    get next() {
      return next();
    },
    append: (payload) => add([payload], 'append'),
    appendAll: (added) => add(added, 'appendAll'),
    async read(from, given) {
      const { maxRecords, maxBytes, signal } = parseReadLimits(given);
      checkSequence('read', 'from', from, Number.MAX_SAFE_INTEGER);
      if (closed) throw new JournalClosedError('read');
      signal?.throwIfAborted();
      const records: JournalRecord[] = [];
      let bytes = 0;
      for (let sequence = Math.max(from, first); sequence < next(); sequence += 1) {
        const payload = payloads[sequence - base];
        if (payload === undefined || records.length === maxRecords) break;
        bytes += payload.byteLength;
        if (records.length > 0 && bytes > maxBytes) break;
        records.push({ sequence, payload });
      }
      return records;
    },
    async release(through) {
      if (closed) throw new JournalClosedError('release');
      checkSequence('release', 'through', through, next() - 1);
      while (first <= through) {
        heldBytes -= FRAME_BYTES + (payloads[first - base]?.byteLength ?? 0);
        first += 1;
      }
      const released = first - base;
      if (released >= COMPACT_AT && released * 2 >= payloads.length) {
        payloads = payloads.slice(released);
        base = first;
      }
    },
    getStats: () => ({
      state: closed ? 'closed' : 'open',
      records: closed ? 0 : next() - first,
      bytes: heldBytes,
      segments: 0,
      pendingRecords: 0,
      pendingBytes: 0,
      appended: next() - 1,
      rejected,
      released: first - 1,
      commits,
      syncs: 0,
      failedSegments: 0,
      quarantinedRanges: 0,
    }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Adds copies of all of them, which share one piece of memory: one of its own for each costs more than its bytes. */
function keepCopies(kept: Uint8Array[], added: readonly Uint8Array[]): void {
  const block = new Uint8Array(added.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const payload of added) {
    block.set(payload, at);
    kept.push(block.subarray(at, at + payload.byteLength));
    at += payload.byteLength;
  }
}
