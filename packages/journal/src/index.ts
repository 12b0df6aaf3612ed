/**
 * A durable journal. A record is acknowledged when it is durable, damage is always reported, and a directory has one
 * writer at a time.
 */
export {
  JournalClosedError,
  JournalCorruptError,
  JournalFullError,
  type JournalLimit,
  JournalLockedError,
  JournalReadError,
  JournalRecordTooLargeError,
  JournalStalledError,
  JournalUnavailableError,
  JournalWriteError,
} from './errors.ts';
export {
  type FileStatus,
  type FileSystem,
  type OpenFile,
  nodeFileSystem,
  writeAll,
} from './files/file-system.ts';
export { boundedFiles } from './files/bounded-files.ts';
export { takeOwnership } from './ownership/claim.ts';
export type { Ownership, OwnershipOptions } from './ownership/ownership.ts';
export type { JournalLimitOptions, JournalOptions } from './options.ts';
export type {
  Journal,
  JournalEvents,
  JournalFailure,
  JournalRecord,
  JournalRecovery,
  JournalStats,
  ReadLimits,
} from './journal.ts';
export { createMemoryJournal } from './memory-journal.ts';
export { openJournal } from './open-journal.ts';
