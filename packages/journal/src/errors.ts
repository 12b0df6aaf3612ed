import { HoldfastError, type Outcome } from '@holdfast/foundation';
import { isNativeError } from 'node:util/types';

/** Another process owns the directory, or took it over from this one. */
export class JournalLockedError extends HoldfastError {
  readonly code = 'JOURNAL_LOCKED';
  readonly directory: string;
  readonly pid?: number;
  readonly host?: string;
  /** When the owner took the directory, in milliseconds since the Unix epoch. */
  readonly sinceEpochMs?: number;

  constructor(
    directory: string,
    message: string,
    details: {
      pid?: number;
      host?: string;
      sinceEpochMs?: number;
      retryable: boolean;
      retryAfterMs?: number;
    },
  ) {
    const { pid, host, sinceEpochMs, ...rest } = details;
    super(message, { ...rest, outcome: 'not-applied' });
    this.directory = directory;
    if (pid !== undefined) this.pid = pid;
    if (host !== undefined) this.host = host;
    if (sinceEpochMs !== undefined) this.sinceEpochMs = sinceEpochMs;
  }
}

/** The directory cannot hold a journal in its current state, or is gone. */
export class JournalUnavailableError extends HoldfastError {
  readonly code = 'JOURNAL_UNAVAILABLE';
  readonly directory: string;

  /** @param outcome `unknown` for records that were being written when the directory was found to be gone. */
  constructor(
    directory: string,
    message: string,
    cause?: unknown,
    outcome: Outcome = 'not-applied',
  ) {
    super(message, { cause, outcome });
    this.directory = directory;
  }
}

/** The disk has not answered for `ioTimeoutMs`. Appends are refused until it does. */
export class JournalStalledError extends HoldfastError {
  readonly code = 'JOURNAL_STALLED';
  readonly directory: string;
  readonly ioTimeoutMs: number;

  /**
   * @param outcome `unknown` for the records whose write has begun: if it ends well after all, they are records like
   *   any other, and the event `resumed` counts them.
   */
  constructor(directory: string, ioTimeoutMs: number, outcome: Outcome) {
    const fate =
      outcome === 'unknown'
        ? 'the write may still end, and its records be kept'
        : 'nothing of this was written';
    super(
      `journal: the disk of ${directory} has not answered for ${ioTimeoutMs} ms (ioTimeoutMs): ${fate}; appends ` +
        'succeed again once it answers',
      { outcome, retryable: true, retryAfterMs: ioTimeoutMs },
    );
    this.directory = directory;
    this.ioTimeoutMs = ioTimeoutMs;
  }
}

/** The limit that was reached. */
export type JournalLimit = 'bytes' | 'records' | 'pending' | 'disk';

/** There is no space for the record until records are released or disk space is freed. */
export class JournalFullError extends HoldfastError {
  readonly code = 'JOURNAL_FULL';
  readonly limit: JournalLimit;
  /** The used amount, in bytes or, for `records`, in records. */
  readonly current: number;
  /** The permitted amount; `undefined` for the disk. */
  readonly max?: number;

  constructor(
    limit: JournalLimit,
    message: string,
    details: { current: number; max?: number; cause?: unknown; outcome?: Outcome },
  ) {
    super(message, {
      retryable: true,
      outcome: details.outcome ?? 'not-applied',
      ...('cause' in details ? { cause: details.cause } : {}),
    });
    this.limit = limit;
    this.current = details.current;
    if (details.max !== undefined) this.max = details.max;
  }
}

/** The record is larger than `maxRecordBytes`. */
export class JournalRecordTooLargeError extends HoldfastError {
  readonly code = 'JOURNAL_RECORD_TOO_LARGE';
  readonly bytes: number;
  readonly maxBytes: number;

  constructor(bytes: number, maxBytes: number) {
    super(
      `journal: a record of ${bytes} bytes was refused, the largest permitted is ${maxBytes}; ` +
        'raise maxRecordBytes or keep the content elsewhere and its address here',
      { outcome: 'not-applied' },
    );
    this.bytes = bytes;
    this.maxBytes = maxBytes;
  }
}

/** The disk failed a write, and a second segment failed too. */
export class JournalWriteError extends HoldfastError {
  readonly code = 'JOURNAL_WRITE_FAILED';
  readonly file: string;

  constructor(file: string, message: string, details: { cause: unknown; outcome: Outcome }) {
    super(message, { ...details, retryable: true });
    this.file = file;
  }
}

/** A read from the disk failed; no record was skipped. */
export class JournalReadError extends HoldfastError {
  readonly code = 'JOURNAL_READ_FAILED';
  readonly file: string;

  constructor(file: string, cause: unknown) {
    super(`journal: reading ${file} failed (${errnoOf(cause) ?? 'no code'}); read again later`, {
      cause,
      retryable: true,
    });
    this.file = file;
  }
}

/** Sequences that were appended and cannot be read: the disk changed or lost them. */
export class JournalCorruptError extends HoldfastError {
  readonly code = 'JOURNAL_CORRUPT';
  /** The file of the records. */
  readonly file: string;
  /** The offset of the damage in the file, in bytes. */
  readonly offset: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /**
   * Whether the records had certainly been acknowledged. Damage in the very last batch before a power loss cannot
   * be distinguished from an unfinished write: it is reported, but proves nothing.
   */
  readonly acknowledged: boolean;

  constructor(damage: {
    file: string;
    offset: number;
    firstSequence: number;
    lastSequence: number;
    acknowledged: boolean;
    seen: string;
  }) {
    const { file, offset, firstSequence, lastSequence, acknowledged, seen } = damage;
    super(
      `journal: ${file} is damaged at byte ${offset} (${seen}): records ${firstSequence} to ` +
        `${lastSequence}${acknowledged ? '' : ', which may never have been acknowledged,'} cannot ` +
        'be read; the records around them can',
    );
    this.file = file;
    this.offset = offset;
    this.firstSequence = firstSequence;
    this.lastSequence = lastSequence;
    this.acknowledged = acknowledged;
  }
}

/** The journal was closed, or is closing. */
export class JournalClosedError extends HoldfastError {
  readonly code = 'JOURNAL_CLOSED';

  constructor(attempted: string) {
    super(`journal: ${attempted} was refused because the journal is closed; open it again`, {
      outcome: 'not-applied',
    });
  }
}

/** The `code` of an error of the operating system, such as `ENOSPC`. */
export function errnoOf(error: unknown): string | undefined {
  if (!isNativeError(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether the error has one of these codes. */
export function isErrno(error: unknown, errnos: readonly string[]): boolean {
  const errno = errnoOf(error);
  return errno !== undefined && errnos.includes(errno);
}

/** Whether the error means that space ran out, which may pass, and not that the disk is broken. */
export function isOutOfSpace(error: unknown): boolean {
  return isErrno(error, ['ENOSPC', 'EDQUOT', 'EFBIG']);
}
