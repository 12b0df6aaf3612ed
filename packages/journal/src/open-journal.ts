import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type Emitter, createEmitter } from '@holdfast/foundation';
import { CHECKPOINT_NAME, openCheckpoint, readCheckpoint } from './commit/checkpoint.ts';
import { quarantine } from './segments/damage.ts';
import { DiskJournal } from './disk-journal.ts';
import { JournalFullError, JournalUnavailableError, errnoOf, isOutOfSpace } from './errors.ts';
import { boundedFiles } from './files/bounded-files.ts';
import type { FileSystem } from './files/file-system.ts';
import {
  type ResolvedJournalOptions,
  type JournalOptions,
  parseJournalOptions,
} from './options.ts';
import {
  type Journal,
  type JournalEvents,
  type JournalRecovery,
  journalEventKinds,
} from './journal.ts';
import { takeOwnership } from './ownership/claim.ts';
import type { Ownership } from './ownership/ownership.ts';
import { type RecoveryResult, recoverSegments } from './recovery.ts';
import { epochOfSpare } from './segments/segment-allocator.ts';
import { recordsFrom } from './segments/segment.ts';
import { indexDistance } from './segments/segment-log.ts';

/**
 * Opens the journal of a directory, and takes the directory over from an owner that is dead.
 * @throws InvalidOptionError, JournalUnavailableError, JournalLockedError, JournalFullError when the disk has
 * no room for the owner's file, JournalCorruptError with `onCorruption: 'refuse'`
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const resolved = parseJournalOptions(options);
  const { directory, signal, clock, ioTimeoutMs } = resolved;
  signal?.throwIfAborted();
  const bounds = { clock, ioTimeoutMs, maxConcurrent: 1 };
  const files = boundedFiles(resolved.files, directory, bounds);
  let ownership: Ownership | undefined;
  try {
    if (await files.makeDirectory(directory)) await files.syncDirectory(join(directory, '..'));
    ownership = await takeOwnership({ ...resolved, files });
    return await openOwned(resolved, files, ownership);
  } catch (error) {
    await Promise.allSettled([ownership?.release()]);
    if (errnoOf(error)?.startsWith('E') !== true) throw error;
    throw toOpeningError(directory, error);
  }
}

/** @param files bounded in time; the writes of records are watched by the journal itself. */
async function openOwned(
  options: ResolvedJournalOptions,
  files: FileSystem,
  ownership: Ownership,
): Promise<Journal> {
  const { directory, segmentBytes } = options;
  const path = join(directory, CHECKPOINT_NAME);
  const checkpoint = await readCheckpoint(files, path);
  const pointEvery = indexDistance(segmentBytes);
  const recovered = await recoverSegments(files, directory, checkpoint.found, pointEvery);
  const refused = recovered.damages.find((damage) => damage.acknowledged);
  if (options.onCorruption === 'refuse' && refused !== undefined) throw refused;
  options.signal?.throwIfAborted();

  for (const damaged of recovered.damagedPaths) await quarantine(files, damaged);
  await cutAndSyncNewest(files, recovered);
  await removeOldSpares(files, directory);
  const id = recovered.id ?? randomUUID();
  const file = await openCheckpoint(files, directory, path, checkpoint.found);
  try {
    // Durable before any segment below the mark is deleted, and before an append depends on the identity.
    await file.write({ id, released: recovered.released, next: recovered.next });
  } catch (error) {
    await file.close();
    throw error;
  }
  const emitter = createEmitter<JournalEvents>('holdfast:journal', journalEventKinds);
  emitDamages(emitter, recovered);
  const recovery = summarize(recovered, checkpoint.damaged);
  const deps = { options, files, ownership, emitter, id, recovered, recovery, checkpoint: file };
  const journal = new DiskJournal(deps);
  ownership.onLost = (error) => journal.lose(error);
  return journal;
}

/**
 * Cuts the newest segment after its last record, and makes its records durable: those of a killed process may
 * be only in the operating system's memory, and the next segment's name claims that they exist.
 */
async function cutAndSyncNewest(files: FileSystem, { newest }: RecoveryResult): Promise<void> {
  if (newest === undefined) return;
  const file = await files.open(newest.path, 'write');
  try {
    if (newest.cutAt !== undefined) await file.truncate(newest.cutAt);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** This process is the only owner: a prepared segment of any other owner is not in use. */
async function removeOldSpares(files: FileSystem, directory: string): Promise<void> {
  for (const name of await files.list(directory)) {
    if (epochOfSpare(name) !== undefined) await files.remove(join(directory, name));
  }
}

function emitDamages(
  emitter: Emitter<JournalEvents>,
  { damages, unfinished }: RecoveryResult,
): void {
  for (const damage of damages) emitter.emit('quarantined', damage);
  if (unfinished === undefined) return;
  const { path: file, ...write } = unfinished;
  emitter.emit('truncated', { file, ...write });
}

function summarize(recovered: RecoveryResult, checkpointLost: boolean): JournalRecovery {
  const { segments, released, unfinished, damages } = recovered;
  return {
    records: segments.reduce((sum, segment) => sum + recordsFrom(segment, released + 1), 0),
    truncatedBytes: unfinished?.bytes ?? 0,
    ...(unfinished === undefined ? {} : { truncatedFrom: unfinished.firstSequence }),
    checkpointLost,
    quarantined: damages,
  };
}

const remedies: Readonly<Record<string, string>> = {
  ENOENT: 'its parent folder does not exist: create that, or mount the volume it belongs to',
  ENOTDIR: 'something on its path is a file: name a directory',
  EACCES: 'this user may not write there: give it the directory, or run as its owner',
  EPERM: 'this user may not write there: give it the directory, or run as its owner',
  ETIMEDOUT: 'its disk does not answer (ioTimeoutMs): see to the disk or the mount',
  EROFS: 'the file system is mounted read-only: mount it writable, or name another directory',
};

function toOpeningError(directory: string, cause: unknown): Error {
  const errno = errnoOf(cause) ?? 'no code';
  if (isOutOfSpace(cause)) {
    const message = `journal: ${directory} could not be opened, its disk has no room (${errno}); free some and open it again`;
    return new JournalFullError('disk', message, { current: 0, cause });
  }
  const remedy = remedies[errno] ?? 'see the cause, and open it again';
  const message = `journal: ${directory} could not be opened (${errno}): ${remedy}`;
  return new JournalUnavailableError(directory, message, cause);
}
