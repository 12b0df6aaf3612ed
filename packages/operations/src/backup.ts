/** Backups: database, configuration and keys as one set, encrypted, in several places, proven and restored. */
export {
  type BackupReport,
  type Backups,
  type BackupsOptions,
  createBackups,
} from './backup/create-backups.ts';
export {
  BackupCorruptError,
  BackupKeyError,
  BackupNotFoundError,
  BackupPlacesError,
  BackupProgramError,
  BackupProofError,
  BackupSourceError,
  BackupTargetError,
} from './backup/errors.ts';
export { type DiskPlaceOptions, diskPlace } from './backup/places/disk-place.ts';
export type { BackupPlace } from './backup/places/place.ts';
export {
  type BackupBucket,
  type SupabasePlaceOptions,
  supabasePlace,
} from './backup/places/supabase-place.ts';
export { type RunningProgram, type StartProgram, startProgram } from './backup/programs.ts';
export type { RestoreReport, RestoreTarget } from './backup/restore.ts';
export {
  type DrillReport,
  type DrillTarget,
  type RestoreDrill,
  type RestoreDrillOptions,
  createRestoreDrill,
} from './backup/restore-drill.ts';
export type { RetentionOptions } from './backup/retention.ts';
export {
  type VerifiedBackup,
  type VerifyBackupOptions,
  verifyBackup,
} from './backup/verify-backup.ts';
