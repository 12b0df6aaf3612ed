import { HoldfastError, type Outcome, describeThrown, propertyOf } from '@holdfast/foundation';

/**
 * - `truncated`: it ends before its end.
 * - `damaged`: a checksum or a count does not match.
 * - `foreign`: it is no backup, or has the name of another one.
 * - `newer`: a later version of Holdfast has written it.
 * - `unreadable`: the disk failed to read it.
 */
export type BackupDefect = 'truncated' | 'damaged' | 'foreign' | 'newer' | 'unreadable';

/** A backup that was tried, and why it was not used. */
export interface BackupAttempt {
  readonly file: string;
  readonly reason: BackupDefect;
  readonly cause: unknown;
}

/** A file, or a frame of it, is not what was written; nothing of it was handed out. `salvage` reads the rest. */
export class CatalogBackupDamagedError extends HoldfastError {
  readonly code = 'CATALOG_BACKUP_DAMAGED';
  readonly file: string;
  readonly reason: BackupDefect;

  constructor(file: string, reason: BackupDefect, seen: string, cause?: unknown) {
    super(
      `catalog: ${file} is ${reason} (${seen}); open the backups again for the one before it`,
      cause === undefined ? {} : { cause },
    );
    this.file = file;
    this.reason = reason;
  }
}

/** The reader was closed. */
export class CatalogBackupClosedError extends HoldfastError {
  readonly code = 'CATALOG_BACKUP_CLOSED';
  readonly file: string;

  constructor(file: string) {
    super(`catalog: the reader of ${file} is closed; open the backups again`);
    this.file = file;
  }
}

/** The directory has no whole backup. */
export class CatalogBackupUnavailableError extends HoldfastError {
  readonly code = 'CATALOG_BACKUP_UNAVAILABLE';
  readonly directory: string;
  /** The newest first. */
  readonly tried: readonly BackupAttempt[];

  constructor(directory: string, tried: readonly BackupAttempt[], cause?: unknown) {
    const list = tried.map(({ file, reason }) => `${file} is ${reason}`).join(', ');
    const seen = cause === undefined ? list || 'there is none' : describeThrown(cause);
    super(
      `catalog: no whole backup in ${directory} (${seen}); sync again, or salvage what is left`,
      cause === undefined ? {} : { cause },
    );
    this.directory = directory;
    this.tried = tried;
  }
}

/** What orders publications: by the token, then by the generation. */
export interface BackupOrder {
  readonly token: number;
  readonly generation: number;
}

/** A newer leader has published a backup: this one was refused, and the newer one is as it was. */
export class CatalogBackupFencedError extends HoldfastError {
  readonly code = 'CATALOG_BACKUP_FENCED';
  readonly token: number;
  /** The highest that has published. */
  readonly currentToken: number;

  constructor(refused: BackupOrder, published: BackupOrder) {
    super(
      `catalog: a backup of generation ${refused.generation} under token ${refused.token} is refused, because ` +
        `generation ${published.generation} under token ${published.token} is published; give up this sync: ` +
        'a newer one is there',
      { outcome: 'not-applied' },
    );
    this.token = refused.token;
    this.currentToken = published.token;
  }
}

/** Another writer has the directory; reading it needs no right. */
export class CatalogBackupLockedError extends HoldfastError {
  readonly code = 'CATALOG_BACKUP_LOCKED';
  readonly directory: string;

  constructor(directory: string, cause: unknown) {
    const retryAfterMs = propertyOf(cause, 'retryAfterMs');
    super(
      `catalog: another writer has ${directory} (${describeThrown(cause)}); write again when it has ended`,
      {
        cause,
        retryable: true,
        outcome: 'not-applied',
        ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
      },
    );
    this.directory = directory;
  }
}

/**
 * - `disk-full`: ENOSPC, EDQUOT or EFBIG.
 * - `io`: the disk failed, or what it gave back is not what was written.
 * - `rows`: the chunks ended with more or fewer rows than the manifest states.
 */
export type BackupWriteFailure = 'disk-full' | 'io' | 'rows';

/** A backup could not be written. The older ones are as they were, and its own file is deleted. */
export class CatalogBackupWriteError extends HoldfastError {
  readonly code = 'CATALOG_BACKUP_WRITE_FAILED';
  readonly directory: string;
  readonly reason: BackupWriteFailure;

  /** @param outcome `unknown` when it has its name, but may lose it with the power. */
  constructor(
    directory: string,
    reason: BackupWriteFailure,
    details: { seen: string; cause?: unknown; outcome?: Outcome },
  ) {
    const { seen, outcome = 'not-applied' } = details;
    const remedy = remedies[reason];
    super(`catalog: a backup was not written to ${directory} (${seen}); ${remedy}`, {
      ...('cause' in details ? { cause: details.cause } : {}),
      retryable: reason !== 'rows',
      outcome,
    });
    this.directory = directory;
    this.reason = reason;
  }
}

const remedies: Readonly<Record<BackupWriteFailure, string>> = {
  'disk-full': 'the older ones are kept: free space, and write again',
  io: 'the older ones are kept: see to the disk, and write again',
  rows: 'the older ones are kept: publish only a generation that is counted',
};

const outOfSpace = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** An error of the file system as that of a write. */
export function toWriteError(
  directory: string,
  cause: unknown,
  outcome: Outcome = 'not-applied',
): CatalogBackupWriteError {
  const reason = outOfSpace.has(propertyOf(cause, 'code')) ? 'disk-full' : 'io';
  return new CatalogBackupWriteError(directory, reason, {
    seen: describeThrown(cause),
    cause,
    outcome,
  });
}

/** An error of opening or reading a file, as that of the file. */
export function toDamagedError(file: string, error: unknown): CatalogBackupDamagedError {
  if (error instanceof CatalogBackupDamagedError) return error;
  return new CatalogBackupDamagedError(file, 'unreadable', describeThrown(error), error);
}
