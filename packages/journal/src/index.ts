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
  JournalUnavailableError,
  JournalWriteError,
} from './errors.ts';
export {
  type FileStatus,
  type FileSystem,
  type OpenFile,
  nodeFileSystem,
} from './files/file-system.ts';
export type { JournalLimitOptions, JournalOptions } from './options.ts';
export type {
  Journal,
  JournalEvents,
  JournalRecord,
  JournalRecovery,
  JournalStats,
  ReadLimits,
} from './journal.ts';
export { createMemoryJournal } from './memory-journal.ts';
export { openJournal } from './open-journal.ts';
