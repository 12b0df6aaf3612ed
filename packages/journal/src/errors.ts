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

/** The directory cannot hold a journal as it is; nothing was changed in it. */
export class JournalUnavailableError extends HoldfastError {
  readonly code = 'JOURNAL_UNAVAILABLE';
  readonly directory: string;

  constructor(directory: string, message: string, cause?: unknown) {
    super(message, { cause, outcome: 'not-applied' });
    this.directory = directory;
  }
}

/** What ran out. */
export type JournalLimit = 'bytes' | 'records' | 'pending' | 'disk';

/** There is no room for the record now; there is again once records are released or the disk is freed. */
export class JournalFullError extends HoldfastError {
  readonly code = 'JOURNAL_FULL';
  readonly limit: JournalLimit;
  /** What is taken, in bytes or, for `records`, in records. */
  readonly current: number;
  /** What is permitted; `undefined` for the disk, whose size is not ours. */
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

/** One record is larger than `maxRecordBytes`; it never fits. */
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

/** The disk gave no answer to a read; nothing was skipped. */
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

/** Sequences that were kept once and cannot be read: the disk changed or lost them. */
export class JournalCorruptError extends HoldfastError {
  readonly code = 'JOURNAL_CORRUPT';
  /** The file the records stood in, or should have. */
  readonly file: string;
  /** Where in it the damage begins, in bytes. */
  readonly offset: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /**
   * Whether the records had been acknowledged for certain. Damage in the very last batch before a power
   * loss cannot be told from an unfinished write: it is reported, but proves nothing.
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

/** The `code` of a failure of the operating system, such as `ENOSPC`. */
export function errnoOf(error: unknown): string | undefined {
  if (!isNativeError(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether the failure is one of these of the operating system. */
export function isErrno(error: unknown, errnos: readonly string[]): boolean {
  const errno = errnoOf(error);
  return errno !== undefined && errnos.includes(errno);
}

/** Whether the failure means that space ran out, which passes, rather than that the disk is broken. */
export function isOutOfSpace(error: unknown): boolean {
  return isErrno(error, ['ENOSPC', 'EDQUOT', 'EFBIG']);
}
