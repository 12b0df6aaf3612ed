import { join } from 'node:path';
import { type FileSystem, type Journal, openJournal } from '@holdfast/journal';
import { BodyFiles } from './journal/blobs.ts';
import { WriteAcceptor } from './accept/accept-write.ts';
import { Budget } from './accept/budget.ts';
import { OperationLog } from './journal/operation-log.ts';
import { type Recovered, recover } from './journal/recover.ts';
import type { ResolvedStorageOptions } from './options.ts';
import { LocalCopies } from './read/local-copies.ts';
import { ObjectReader } from './read/reader.ts';
import type { ReadEpochs } from './read/stale-reads.ts';
import { Replicator, type ReplicatorDeps } from './replication/replicator.ts';

/** What a storage consists of once its journal is open. */
export interface OpenedStorage extends OpenedLog {
  readonly acceptor: WriteAcceptor;
  readonly replicator: Replicator;
  readonly reader: ObjectReader;
  readonly local: LocalCopies | undefined;
}

interface OpenedLog {
  readonly journal: Journal;
  readonly log: OperationLog;
  readonly blobs: BodyFiles;
  readonly budget: Budget;
  readonly recovered: Recovered;
}

type OpenDeps = Pick<ReplicatorDeps, 'emitter' | 'primaryWaits' | 'keepConflictCopy'> & {
  readonly epochs: ReadEpochs;
};

const MIB = 1_048_576;
/** The head of a record with the longest key and metadata. */
const MAX_HEAD_BYTES = 16_384;
/** Room for superseded records and rewritten old ones, until the journal releases them. */
const JOURNAL_SLACK_BYTES = 64 * MIB;
const MAX_PENDING_BYTES = 256 * MIB;

/** @throws the journal's own errors */
export async function openStorage(
  options: ResolvedStorageOptions,
  { epochs, ...deps }: OpenDeps,
): Promise<OpenedStorage> {
  const opened = await openLog(options);
  const { journal, log, budget, recovered } = opened;
  const local = await openLocalCopies(options);
  const writerId = journal.id;
  const replicator = new Replicator({ ...options, ...deps, log, budget, writerId });
  const acceptor = new WriteAcceptor({
    ...opened,
    clock: options.clock,
    inlineBytes: options.inlineBytes,
    minFreeBytes: options.journal.minFreeBytes,
    generation: recovered.generation,
  });
  const { writers, pendingKeys } = replicator;
  const reader = new ObjectReader({ ...options, writers, pendingKeys, log, local, epochs });
  return { ...opened, acceptor, replicator, reader, local };
}

async function openLocalCopies({
  files,
  local: localOptions,
  verifyWholeBytes,
}: ResolvedStorageOptions): Promise<LocalCopies | undefined> {
  if (localOptions === undefined) return undefined;
  const local = new LocalCopies(files, { ...localOptions, maxCopyBytes: verifyWholeBytes });
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
  await makeDirectory(files, directory);
  const blobs = new BodyFiles(files, join(directory, 'bodies'));
  const journal = await openJournal({
    directory: join(directory, 'log'),
    durability,
    segmentBytes,
    maxBytes: 2 * maxBytes + JOURNAL_SLACK_BYTES,
    maxRecordBytes: options.inlineBytes + MAX_HEAD_BYTES + MIB,
    maxPendingBytes: MAX_PENDING_BYTES,
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
    return { journal, log, blobs, budget, recovered };
  } catch (error) {
    await journal.close();
    throw error;
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
