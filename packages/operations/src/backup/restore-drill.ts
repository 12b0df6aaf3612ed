import { callback, objectWith, optional, parseOptions, string } from '@holdfast/foundation';
import { checkIdentities } from './age.ts';
import { checkPlaces, placesSchema } from './create-backups.ts';
import type { BackupPlace } from './places/place.ts';
import type { RestoreTarget } from './restore.ts';
import { type VerifyBackupOptions, verifyBackup } from './verify-backup.ts';

/** Where a drill restores to; it is removed after it. */
export interface DrillTarget extends RestoreTarget {
  /** A new, empty database. */
  readonly databaseUrl: string;
  /** Removes the database and the directories. */
  remove(): Promise<void>;
}

/** Options of {@link createRestoreDrill}: those of `verifyBackup`, but for the set, which is the newest. */
export interface RestoreDrillOptions extends Omit<VerifyBackupOptions, 'setId' | 'signal'> {
  /** Makes a place to restore to. What it takes counts as part of the recovery. */
  prepare: (signal: AbortSignal | undefined) => Promise<DrillTarget>;
  /** Checks the restored service, such as by a query of the application. Default: rows are proven, no more. */
  check?: (target: DrillTarget, signal: AbortSignal | undefined) => Promise<void>;
}

/** What a drill has measured. */
export interface DrillReport {
  readonly setId: string;
  /** What would have been lost: the age of the newest set's snapshot when the drill began, in milliseconds. */
  readonly rpoMs: number;
  /** How long it took from then until the rows were proven and the check had passed, in milliseconds. */
  readonly rtoMs: number;
  readonly tables: number;
  readonly rows: number;
  readonly damaged: readonly { readonly place: string; readonly key: string }[];
}

/** Rehearses the restore of the newest set. */
export interface RestoreDrill {
  /**
   * @throws whatever would stand in the way of the real restore.
   */
  run(options?: { readonly signal?: AbortSignal }): Promise<DrillReport>;
}

const MAX_PATH = 4_096;
const schema = {
  ...placesSchema,
  places: objectWith<readonly BackupPlace[]>([]),
  identities: objectWith<readonly string[]>([]),
  stagingDirectory: optional(string({ maxLength: MAX_PATH })),
  prepare: callback<RestoreDrillOptions['prepare']>(),
  check: callback<NonNullable<RestoreDrillOptions['check']>>(async () => undefined),
};

/**
 * A drill of the restore: what it has not restored cannot be relied on.
 *
 * @throws InvalidOptionError, BackupKeyError
 */
export function createRestoreDrill(options: RestoreDrillOptions): RestoreDrill {
  const { prepare, check, stagingDirectory, ...resolved } = parseOptions(
    'createRestoreDrill',
    schema,
    options,
  );
  const { clock, places, identities } = resolved;
  checkPlaces('createRestoreDrill', places);
  checkIdentities(identities);
  const staging = stagingDirectory === undefined ? {} : { stagingDirectory };
  return {
    async run({ signal } = {}) {
      const beganMs = clock.now();
      const beganEpochMs = clock.epochMs();
      const stop = signal === undefined ? {} : { signal };
      const verified = await verifyBackup({ ...resolved, ...staging, ...stop });
      let target: DrillTarget | undefined;
      try {
        target = await prepare(signal);
        const { tables, rows } = await verified.restore(target, stop);
        await check(target, signal);
        const { setId, damaged, snapshotAtMs } = verified;
        const rpoMs = Math.max(0, beganEpochMs - snapshotAtMs);
        return { setId, rpoMs, rtoMs: clock.now() - beganMs, tables, rows, damaged };
      } finally {
        await verified.close();
        await target?.remove();
      }
    },
  };
}
