import type { EventKinds, Subscribe } from '@holdfast/foundation';
import type {
  JournalCorruptError,
  JournalFullError,
  JournalLockedError,
  JournalStalledError,
  JournalUnavailableError,
  JournalWriteError,
} from './errors.ts';

/** One record as it was appended. */
export interface JournalRecord {
  readonly sequence: number;
  /** Owned by the caller. The records of one read may share memory: keeping one may keep its neighbors. */
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
  /** The identity of the directory: random, created with it, never changed. In memory: random. */
  readonly id: string;
  /** Rises by one each time the directory gets a new owner; the first owner has 1. */
  readonly epoch: number;
  /** Sequence of the oldest record not yet released; equals `next` when there is none. */
  readonly first: number;
  /** Sequence the next record gets. Sequences start at 1 and are consecutive. */
  readonly next: number;
  /** The result of opening. */
  readonly recovery: JournalRecovery;
  readonly on: Subscribe<JournalEvents>;

  /**
   * Appends one record. Resolves with its sequence once it is durable; the payload must not change before.
   * @throws JournalFullError, JournalRecordTooLargeError, JournalWriteError, JournalStalledError when the disk does not
   *   answer, JournalUnavailableError when the directory is gone, JournalLockedError, JournalClosedError
   */
  append(payload: Uint8Array): Promise<number>;
  /**
   * Appends several records with consecutive sequences and resolves with the first one; either all of them are
   * acknowledged or none. An empty list resolves with `next`.
   * @throws like `append`
   */
  appendAll(payloads: readonly Uint8Array[]): Promise<number>;
  /**
   * The durable records from sequence `from` (included) on, in order: at least one if there is one, however large;
   * none at the end. Released and damaged records are left out.
   * @throws JournalReadError when the disk fails, JournalClosedError, the signal's own reason
   */
  read(from: number, limits?: ReadLimits): Promise<JournalRecord[]>;
  /**
   * Releases every record up to and including `through`. The mark holds for this process at once and becomes durable
   * within `checkpointMs`; after that, space is freed in whole segments. A lower mark than before has no effect.
   * @throws InvalidOptionError when `through` was never appended
   */
  release(through: number): Promise<void>;
  getStats(): JournalStats;
  /**
   * Rejects later calls, waits for accepted appends, and gives the directory up for the next owner.
   * @throws JournalWriteError when the last release mark could not be written, JournalStalledError when the disk does
   *   not answer; the journal is closed nevertheless, and gives the directory up once the disk answers
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How much one read returns. */
export interface ReadLimits {
  /** Default 1 000. */
  maxRecords?: number;
  /** Sum of the payloads, in bytes; the first record is given even if it alone is more. Default 1 MiB. */
  maxBytes?: number;
  signal?: AbortSignal;
}

/** The result of opening a journal. */
export interface JournalRecovery {
  /** Records found that are not released. */
  readonly records: number;
  /** Bytes of an unfinished write cut from the end of the newest segment. */
  readonly truncatedBytes: number;
  /** The sequence from which on bytes were cut, if there were any. */
  readonly truncatedFrom?: number;
  /** The release mark was unreadable: records released before may be read once more. */
  readonly checkpointLost: boolean;
  /** Each range of sequences that was durable and cannot be read. */
  readonly quarantined: readonly JournalCorruptError[];
}

/** The events of a journal, by name. */
export interface JournalEvents {
  /** Damage was found, by opening or by a read; the readable records around it are delivered. */
  quarantined: JournalCorruptError;
  /** Opening cut an unfinished write from the end. */
  truncated: { file: string; offset: number; bytes: number; firstSequence: number };
  /** A segment failed to write or sync; nothing is written to it any more. */
  'segment-failed': { file: string; firstSequence: number; cause: unknown };
  /** Appends are rejected from now on for want of space. */
  full: JournalFullError;
  /** The release mark and everything up to it became durable; segments below it are deleted. */
  checkpointed: { released: number };
  /** The release mark could not be written; the write is repeated. */
  'checkpoint-failed': JournalWriteError;
  /** Another process took the directory over, or the directory was removed or replaced. */
  lost: JournalLockedError | JournalUnavailableError;
  /** The disk does not answer: appends are rejected from now on. */
  stalled: JournalStalledError;
  /** The disk answers again. `late`: records that were kept after their appends had rejected with outcome `unknown`. */
  resumed: { late: number };
}

export const journalEventKinds: EventKinds<JournalEvents> = {
  quarantined: true,
  truncated: true,
  'segment-failed': true,
  full: true,
  checkpointed: true,
  'checkpoint-failed': true,
  lost: true,
  stalled: true,
  resumed: true,
};

/** Why nothing can be appended at the moment, as far as is known. */
export interface JournalFailure {
  /** The code of the error that an append would reject with. */
  readonly code: string;
  readonly message: string;
}

/** What a journal holds, and how it fares. */
export interface JournalStats {
  /** `lost`: another process took the directory over, or it was removed or replaced. */
  readonly state: 'open' | 'closing' | 'closed' | 'lost';
  /** Absent while appends succeed. A failure of the disk is noticed within a heartbeat, without an append too. */
  readonly failure?: JournalFailure;
  /** Records durable and not yet released. */
  readonly records: number;
  /** The size of those records with their frames; may include released ones, up to 1/256 of a segment. */
  readonly bytes: number;
  /** Segment files with unreleased records; 0 in memory. */
  readonly segments: number;
  /** Records accepted and not yet durable. */
  readonly pendingRecords: number;
  readonly pendingBytes: number;
  /** Records made durable since opening. */
  readonly appended: number;
  /** Records rejected since opening, by any limit or failure. */
  readonly rejected: number;
  /** Highest sequence released. */
  readonly released: number;
  /** Writes for appends since opening; `appended / commits` records shared one write. */
  readonly commits: number;
  /** Writes of those that were synced to the disk. */
  readonly syncs: number;
  /** Segments that failed since opening. */
  readonly failedSegments: number;
  /** Ranges found damaged since opening. */
  readonly quarantinedRanges: number;
}
