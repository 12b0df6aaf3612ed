import { HoldfastError, describeValue } from '@holdfast/foundation';

/** Something of the set is missing, or is not what was backed up. Nothing was restored. */
export class BackupCorruptError extends HoldfastError {
  readonly code = 'BACKUP_CORRUPT';
  readonly setId: string;

  constructor(setId: string, what: string, cause?: unknown) {
    super(
      `the backup ${describeValue(setId)} is not proven: ${what}; nothing was restored, take another set`,
      cause === undefined ? { outcome: 'not-applied' } : { outcome: 'not-applied', cause },
    );
    this.setId = setId;
  }
}

/** No identity opens the set. Nothing was restored. */
export class BackupKeyError extends HoldfastError {
  readonly code = 'BACKUP_KEY';

  constructor(what: string, cause?: unknown) {
    super(
      `${what}; give the identity of one of its recipients`,
      cause === undefined ? { outcome: 'not-applied' } : { outcome: 'not-applied', cause },
    );
  }
}

/** Too few places took, or have, the set. */
export class BackupPlacesError extends HoldfastError {
  readonly code = 'BACKUP_PLACES';
  /** What each place that failed has answered, by its name. */
  readonly failures: Readonly<Record<string, string>>;

  constructor(what: string, failures: Readonly<Record<string, string>>) {
    const described = Object.entries(failures).map(([name, message]) => `${name}: ${message}`);
    super(`${what}: ${described.join('; ') || 'no place failed'}`, { retryable: true });
    this.failures = failures;
  }
}

/** No place has this set. */
export class BackupNotFoundError extends HoldfastError {
  readonly code = 'BACKUP_NOT_FOUND';

  constructor(setId: string | undefined) {
    const which = setId === undefined ? 'a complete backup' : `the backup ${describeValue(setId)}`;
    super(`no place has ${which}`, { outcome: 'not-applied' });
  }
}

/** A directory that is backed up cannot be read, or holds what an archive does not keep. */
export class BackupSourceError extends HoldfastError {
  readonly code = 'BACKUP_SOURCE';

  constructor(path: string, reason: string, cause?: unknown) {
    super(
      `${describeValue(path)} is not backed up: ${reason}`,
      cause === undefined ? { outcome: 'not-applied' } : { outcome: 'not-applied', cause },
    );
  }
}

/** The place to restore to is in use. Nothing was restored. */
export class BackupTargetError extends HoldfastError {
  readonly code = 'BACKUP_TARGET_IN_USE';

  constructor(target: string, reason: string) {
    super(`${target} ${reason}; restore to a new one`, { outcome: 'not-applied' });
  }
}

/** A program of Postgres failed. */
export class BackupProgramError extends HoldfastError {
  readonly code = 'BACKUP_PROGRAM_FAILED';

  constructor(program: string, reason: string, cause?: unknown) {
    super(`${program} ${reason}`, cause === undefined ? {} : { cause });
  }
}

/** The restored rows are not those of the snapshot. The new database is not to be used. */
export class BackupProofError extends HoldfastError {
  readonly code = 'BACKUP_ROWS_DIFFER';
  /** The tables that differ. */
  readonly tables: readonly string[];

  constructor(tables: readonly string[]) {
    super(
      `after the restore ${tables.length} tables differ from the snapshot (${tables.slice(0, 5).join(', ')}); ` +
        'do not use this database',
      { outcome: 'applied' },
    );
    this.tables = tables;
  }
}
