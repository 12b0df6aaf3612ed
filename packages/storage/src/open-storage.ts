import { join } from 'node:path';
import {
  type FileSystem,
  type Journal,
  JournalUnavailableError,
  boundedFiles,
  nodeFileSystem,
  openJournal,
} from '@holdfast/journal';
import { errnoOf } from './files/errno.ts';
import { BodyFiles } from './journal/blobs.ts';
import { WriteAcceptor } from './accept/accept-write.ts';
import { Budget } from './accept/budget.ts';
import { WriterLives, beginLife } from './journal/lives.ts';
import { OperationLog } from './journal/operation-log.ts';
import { type Recovered, recover } from './journal/recover.ts';
import type { ResolvedStorageOptions } from './options.ts';
import { LocalCopies } from './read/local-copies.ts';
import { PassedWrites } from './read/passed-writes.ts';
import { ObjectReader } from './read/reader.ts';
import { ShownObjects } from './read/shown-objects.ts';
import type { ReadEpochs } from './read/stale-reads.ts';
import { isBehind } from './replication/key-replica.ts';
import { RemovalMarks } from './replication/removal-marks.ts';
import { Replicator, type ReplicatorDeps } from './replication/replicator.ts';

/** What a storage consists of once its journal is open. */
export interface OpenedStorage extends OpenedLog {
  readonly acceptor: WriteAcceptor;
  readonly replicator: Replicator;
  readonly reader: ObjectReader;
  readonly local: LocalCopies | undefined;
  readonly shown: ShownObjects;
}

interface OpenedLog {
  readonly journal: Journal;
  readonly log: OperationLog;
  readonly blobs: BodyFiles;
  readonly budget: Budget;
  readonly lives: WriterLives;
  readonly recovered: Recovered;
}

type OpenDeps = Pick<
  ReplicatorDeps,
  'emitter' | 'primaryWaits' | 'keepConflictCopy' | 'writers'
> & {
  readonly epochs: ReadEpochs;
  /** The downloads by their source. */
  readonly downloads: Record<string, number>;
};

const MIB = 1_048_576;
/** The head of a record with the longest key and metadata. */
const MAX_HEAD_BYTES = 16_384;
/** Room for superseded records and rewritten old ones, until the journal releases them. */
const JOURNAL_SLACK_BYTES = 64 * MIB;
const MAX_PENDING_BYTES = 256 * MIB;
/** Calls for bodies at once: Node has four threads for all files and names, and a disk that hangs holds each. */
const CONCURRENT_FILE_CALLS = 2;

/** @throws the journal's own errors */
export async function openStorage(
  options: ResolvedStorageOptions,
  { epochs, downloads: counts, ...deps }: OpenDeps,
): Promise<OpenedStorage> {
  const opened = await openLog(options);
  const { log, budget, recovered, lives } = opened;
  const local = await openLocalCopies(options);
  const marks = new RemovalMarks(lives, options.clock);
  const onSuperseded = (key: string, backend: string) => shown.superseded(key, backend);
  const replicator = new Replicator({
    ...options,
    ...deps,
    log,
    budget,
    lives,
    marks,
    onSuperseded,
  });
  const acceptor = new WriteAcceptor({
    ...opened,
    clock: options.clock,
    inlineBytes: options.inlineBytes,
    minFreeBytes: options.journal.minFreeBytes,
    generation: recovered.generation,
  });
  const { writers, pendingKeys } = replicator;
  const [primary] = writers;
  const shown = new ShownObjects({
    local,
    epochs,
    clock: options.clock,
    lives,
    primary: primary?.backend.name ?? '',
    isPending(key) {
      const writes = pendingKeys.get(key);
      return writes !== undefined && primary !== undefined && isBehind(writes, primary);
    },
  });
  // The process may have died between a write and the removal of the copy of what was there before.
  for (const { newest } of recovered.unfinished) await local?.forget(newest.key);
  const passed = new PassedWrites({ ...options, lives, marks });
  const pending = { keys: pendingKeys, log, passed };
  const reader = new ObjectReader({ ...options, writers, pending, local, shown, counts });
  return { ...opened, acceptor, replicator, reader, local, shown };
}

/** Reads the backends alone, while the journal cannot be opened. */
export function standbyReader(
  options: ResolvedStorageOptions,
  { writers, epochs, downloads: counts }: Pick<OpenDeps, 'writers' | 'epochs' | 'downloads'>,
): ObjectReader {
  const nobody = { isOwn: () => false };
  const primary = writers[0]?.backend.name ?? '';
  const none = { local: undefined, pending: undefined };
  const shown = new ShownObjects({
    ...none,
    epochs,
    clock: options.clock,
    lives: nobody,
    primary,
    isPending: () => false,
  });
  return new ObjectReader({ ...options, ...none, writers, shown, counts });
}

async function openLocalCopies({
  files,
  clock,
  local: localOptions,
  verifyWholeBytes,
}: ResolvedStorageOptions): Promise<LocalCopies | undefined> {
  if (localOptions === undefined) return undefined;
  const local = new LocalCopies(files, {
    ...localOptions,
    maxCopyBytes: verifyWholeBytes,
    epochMs: () => clock.epochMs(),
  });
  // Local copies are optional: a storage without them keeps every promise.
  await local.open().catch((error: unknown) => {
    process.emitWarning(`createStorage: local.directory cannot be used: ${String(error)}`);
  });
  return local;
}

/**
 * Opens the journal and the bodies beside it: `<directory>/log` and `<directory>/bodies`.
 * @throws the journal's own errors
 */
async function openLog(options: ResolvedStorageOptions): Promise<OpenedLog> {
  const { files, clock, backends } = options;
  const { directory, durability, maxBytes, maxPending, segmentBytes } = options.journal;
  const { ioTimeoutMs, ownerStaleMs } = options.journal;
  const bounds = { clock, ioTimeoutMs, maxConcurrent: CONCURRENT_FILE_CALLS };
  const bounded = boundedFiles(files, directory, bounds);
  await makeDirectory(bounded, directory);
  const blobs = new BodyFiles(bounded, join(directory, 'bodies'), {
    ...bounds,
    measuresSpace: files === nodeFileSystem,
  });
  const journal = await openJournal({
    directory: join(directory, 'log'),
    durability,
    segmentBytes,
    maxBytes: 2 * maxBytes + JOURNAL_SLACK_BYTES,
    maxRecordBytes: options.inlineBytes + MAX_HEAD_BYTES + MIB,
    maxPendingBytes: MAX_PENDING_BYTES,
    ioTimeoutMs,
    ownerStaleMs,
    clock,
    files,
  });
  try {
    await blobs.open();
    const names = backends.map(({ name }) => name);
    const recovered = await recover(journal, names);
    await blobs.removeOthers(
      new Set(recovered.held.flatMap(({ operation }) => operation.blob ?? [])),
    );
    const { maxObjectBytes, maxMemoryBytes } = options;
    const budget = new Budget({ maxBytes, maxPending, maxObjectBytes });
    const log = new OperationLog(journal, blobs, { clock, maxMemoryBytes });
    for (const { operation, sequence, settled } of recovered.held) {
      log.adopt(operation, sequence, settled);
      budget.adopt(operation.size);
    }
    log.keep(recovered.lastSequence);
    const knownUpTo = recovered.generation;
    const life = await beginLife(bounded, directory, knownUpTo);
    const lives = new WriterLives({ writerId: journal.id, ...life, knownUpTo });
    return { journal, log, blobs, budget, lives, recovered };
  } catch (error) {
    await Promise.allSettled([journal.close()]);
    const code = errnoOf(error);
    if (code?.startsWith('E') !== true) throw error;
    const message = `storage: ${directory} could not be opened (${code}); see to the disk or the mount`;
    throw new JournalUnavailableError(directory, message, error);
  }
}

/** Makes the last folder of the path; the journal reports a path that it cannot use. */
async function makeDirectory(files: FileSystem, directory: string): Promise<void> {
  try {
    if (await files.makeDirectory(directory)) await files.syncDirectory(join(directory, '..'));
  } catch {
    // Opening the journal in it fails too, with an error that names the remedy.
  }
}
