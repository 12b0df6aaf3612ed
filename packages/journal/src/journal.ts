import type { Subscribe } from '@holdfast/foundation';
import type {
  JournalCorruptError,
  JournalFullError,
  JournalLockedError,
  JournalWriteError,
} from './errors.ts';

/** One record as it was appended. */
export interface JournalRecord {
  readonly sequence: number;
  /** Owned by the reader; the records of one read may share memory, so keeping one may keep its neighbours. */
  readonly payload: Uint8Array;
}

/**
 * Keeps records in the order they were accepted until they are released.
 *
 * - Order: records are read in the order of their sequences, which are the order of the calls to `append`.
 * - Loss: a record whose append resolved is read back until it is released, over any crash its durability
 *   covers; if the disk damaged it, its sequence is named in a {@link JournalCorruptError}.
 * - Duplicates: no sequence is used twice for records that were acknowledged. After a crash, records
 *   released shortly before may be read once more, and records whose append had not resolved yet may be there.
 * - A rejected append leaves no gap: its sequence goes to the next record that succeeds.
 */
export interface Journal {
  /** Identity of the directory: random, created with it, kept for ever. In memory: random. */
  readonly id: string;
  /** Rises by one each time the directory gets a new owner; the first owner has 1. */
  readonly epoch: number;
  /** Sequence of the oldest record not yet released; equals `next` when there is none. */
  readonly first: number;
  /** Sequence the next record gets. Sequences start at 1 and are consecutive. */
  readonly next: number;
  /** What opening found. */
  readonly recovery: JournalRecovery;
  readonly on: Subscribe<JournalEvents>;

  /**
   * Keeps one record. Resolves with its sequence once it is durable; the payload must not be changed before.
   * @throws JournalFullError, JournalRecordTooLargeError, JournalWriteError, JournalLockedError, JournalClosedError
   */
  append(payload: Uint8Array): Promise<number>;
  /**
   * Keeps several records under consecutive sequences and resolves with the first one; either all are reported
   * kept or none. An empty list resolves with `next`.
   * @throws like `append`
   */
  appendAll(payloads: readonly Uint8Array[]): Promise<number>;
  /**
   * The durable records from sequence `from` (included) on, in order: at least one if there is one, however
   * large; none at the end. What is released is not read, nor what is damaged.
   * @throws JournalReadError when the disk gives no answer, JournalClosedError, the signal's own reason
   */
  read(from: number, limits?: ReadLimits): Promise<JournalRecord[]>;
  /**
   * Everything up to and including `through` is done with. The mark holds for this process at once and becomes
   * durable within `checkpointMs`; space is freed in whole segments after that. A lower mark than before
   * changes nothing.
   * @throws InvalidOptionError when `through` was never appended
   */
  release(through: number): Promise<void>;
  getStats(): JournalStats;
  /**
   * Accepts nothing more, waits for what was accepted, and gives the directory free for the next owner.
   * @throws JournalWriteError when the last release mark could not be kept; the journal is closed all the same
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ReadLimits {
  /** Default 1 000. */
  maxRecords?: number;
  /** Sum of the payloads, in bytes; the first record is given even if it alone is more. Default 1 MiB. */
  maxBytes?: number;
  signal?: AbortSignal;
}

/** What opening a journal found. */
export interface JournalRecovery {
  /** Records found that are not released. */
  readonly records: number;
  /** Bytes of an unfinished write cut from the end of the newest segment. */
  readonly truncatedBytes: number;
  /** Sequence from which on the cut bytes stood, when there were any. */
  readonly truncatedFrom?: number;
  /** The release mark was unreadable: records released before may be read once more. */
  readonly checkpointLost: boolean;
  /** Each range of sequences that was there once and cannot be read. */
  readonly quarantined: readonly JournalCorruptError[];
}

export interface JournalEvents {
  /** Damage was found, at opening or at reading; what is readable around it is delivered. */
  quarantined: JournalCorruptError;
  /** Opening cut an unfinished write from the end. */
  truncated: { file: string; offset: number; bytes: number; firstSequence: number };
  /** A segment failed to write or sync; nothing is written to it any more. */
  'segment-failed': { file: string; firstSequence: number; cause: unknown };
  /** Appends began to be refused for want of space. */
  full: JournalFullError;
  /** The release mark and everything up to it became durable; segments below it are deleted. */
  checkpointed: { released: number };
  /** The release mark could not be kept; it is tried again. */
  'checkpoint-failed': JournalWriteError;
  /** Another process took the directory over. */
  lost: JournalLockedError;
}

export interface JournalStats {
  /** `lost`: another process took the directory over. */
  readonly state: 'open' | 'closing' | 'closed' | 'lost';
  /** Records durable and not yet released. */
  readonly records: number;
  /** Bytes of those records with their frames; may count up to 1/256 of a segment of released ones in. */
  readonly bytes: number;
  /** Files the records stand in; 0 in memory. */
  readonly segments: number;
  /** Records accepted and not yet durable. */
  readonly pendingRecords: number;
  readonly pendingBytes: number;
  /** Records made durable since opening. */
  readonly appended: number;
  /** Records refused since opening, by any limit or failure. */
  readonly rejected: number;
  /** Highest sequence released. */
  readonly released: number;
  /** Writes made for appends since opening; `appended / commits` is how many shared one. */
  readonly commits: number;
  /** Writes of those that were synced to the disk. */
  readonly syncs: number;
  /** Segments that failed since opening. */
  readonly failedSegments: number;
  /** Ranges found damaged since opening. */
  readonly quarantinedRanges: number;
}
