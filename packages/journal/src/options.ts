import {
  type Clock,
  InvalidOptionError,
  objectWith,
  integer,
  oneOf,
  optional,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import { type FileSystem, nodeFileSystem } from './files/file-system.ts';
import type { ReadLimits } from './journal.ts';

/** How much a journal holds. */
export interface JournalLimitOptions {
  /** Bytes of records not yet released, frames of 20 bytes included. Default 1 GiB; in memory 64 MiB. */
  maxBytes?: number;
  /** Records not yet released. Default 10 000 000; in memory 1 000 000. */
  maxRecords?: number;
  /** The largest payload, in bytes. Default 1 MiB. */
  maxRecordBytes?: number;
}

/** Options of `openJournal`. All times in milliseconds. */
export interface JournalOptions extends JournalLimitOptions {
  /** The journal's own directory. It is created if its parent exists, so that a missing mount is an error. */
  directory: string;
  /**
   * When an append resolves.
   * `'commit'` (default): after fdatasync; survives the loss of power.
   * `'batch-ms'`: the same, but with at most one fdatasync in `batchMs`, shared by all waiting appends.
   * `'os'`: after the write; survives the death of the process, not of the machine.
   */
  durability?: 'commit' | 'batch-ms' | 'os';
  /** With `'batch-ms'`: least time between two syncs, in milliseconds. Default 10. */
  batchMs?: number;
  /** Size of a segment's file, preallocated; a record larger than that has one of its own. Default 16 MiB. */
  segmentBytes?: number;
  /** The most bytes that are accepted and not yet durable. Default 16 MiB. */
  maxPendingBytes?: number;
  /** The longest delay until a release is durable, in milliseconds. Default 1 000. */
  checkpointMs?: number;
  /** Whether damaged acknowledged records are skipped and reported, or reject. Default `'quarantine'`. */
  onCorruption?: 'quarantine' | 'refuse';
  /**
   * The longest that the disk may not answer, in milliseconds; then appends reject with JournalStalledError, and reads
   * and the opening fail. A write that moves on is waited for. Default 5 000.
   */
  ioTimeoutMs?: number;
  /** The interval of the owner's heartbeat, in milliseconds; at most a fourth of `ownerStaleMs`. Default 1 000. */
  heartbeatMs?: number;
  /**
   * The time without heartbeat after which this owner counts as dead for another machine or container. The owner
   * writes it into the directory, and its successor waits as long as the owner has stated; the owner itself makes
   * sure that it still is one before it acknowledges anything after half of it. Default 5 000.
   */
  ownerStaleMs?: number;
  /** How long opening watches an owner that it can see only by its heartbeat. Default 20 000; 0: not at all. */
  acquireTimeoutMs?: number;
  /** Aborts the opening. */
  signal?: AbortSignal;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The file system. Default: that of Node. */
  files?: FileSystem;
}

const HOUR_MS = 3_600_000;
const KIB = 1_024;
const MIB = 1_048_576;
const GIB = 1_073_741_824;
const TIB = 1_099_511_627_776;

const maxRecordBytes = integer({ min: 1, max: 256 * MIB, default: MIB });

const memorySchema = {
  maxBytes: integer({ min: KIB, max: 16 * GIB, default: 64 * MIB }),
  maxRecords: integer({ min: 1, max: 100_000_000, default: 1_000_000 }),
  maxRecordBytes,
};

const diskSchema = {
  directory: string({ maxLength: 4_096 }),
  durability: oneOf(['commit', 'batch-ms', 'os'], 'commit'),
  batchMs: integer({ min: 1, max: 60_000, default: 10 }),
  segmentBytes: integer({ min: 2 * KIB, max: GIB, default: 16 * MIB }),
  maxBytes: integer({ min: KIB, max: 64 * TIB, default: GIB }),
  maxRecords: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 10_000_000 }),
  maxRecordBytes,
  maxPendingBytes: integer({ min: KIB, max: 16 * GIB, default: 16 * MIB }),
  checkpointMs: integer({ min: 1, max: HOUR_MS, default: 1_000 }),
  onCorruption: oneOf(['quarantine', 'refuse'], 'quarantine'),
  ioTimeoutMs: integer({ min: 10, max: HOUR_MS, default: 5_000 }),
  heartbeatMs: integer({ min: 10, max: HOUR_MS, default: 1_000 }),
  ownerStaleMs: integer({ min: 20, max: 24 * HOUR_MS, default: 5_000 }),
  acquireTimeoutMs: integer({ min: 0, max: 24 * HOUR_MS, default: 20_000 }),
  signal: optional(objectWith<AbortSignal>(['throwIfAborted', 'addEventListener'])),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  files: objectWith<FileSystem>(['open', 'list', 'rename', 'link'], nodeFileSystem),
};

const readSchema = {
  maxRecords: integer({ min: 1, max: 10_000_000, default: 1_000 }),
  maxBytes: integer({ min: 1, max: GIB, default: MIB }),
  signal: optional(objectWith<AbortSignal>(['throwIfAborted', 'addEventListener'])),
};

type Signal = { readonly signal: AbortSignal | undefined };

/** The options of a journal on disk with their defaults. */
export type ResolvedJournalOptions = Readonly<Required<Omit<JournalOptions, 'signal'>>> & Signal;

/** @throws InvalidOptionError */
export function parseJournalOptions(options: JournalOptions): ResolvedJournalOptions {
  return parseOptions('openJournal', diskSchema, options);
}

/** @throws InvalidOptionError */
export function parseMemoryOptions(
  options: JournalLimitOptions | undefined,
): Readonly<Required<JournalLimitOptions>> {
  return parseOptions('createMemoryJournal', memorySchema, options);
}

/** @throws InvalidOptionError */
export function parseReadLimits(
  limits: ReadLimits | undefined,
): Readonly<Required<Omit<ReadLimits, 'signal'>>> & Signal {
  return parseOptions('read', readSchema, limits);
}

/** @throws InvalidOptionError */
export function checkSequence(owner: string, field: string, value: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return;
  throw new InvalidOptionError(owner, field, value, `a sequence from 0 to ${max}`);
}
