import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type Emitter, createEmitter } from '@holdfast/foundation';
import { CHECKPOINT_NAME, openCheckpoint, readCheckpoint } from './commit/checkpoint.ts';
import { quarantine } from './segments/damage.ts';
import { createDiskJournal } from './disk-journal.ts';
import {
  JournalFullError,
  type JournalLockedError,
  JournalUnavailableError,
  errnoOf,
  isOutOfSpace,
} from './errors.ts';
import type { FileSystem } from './files/file-system.ts';
import {
  type ResolvedJournalOptions,
  type JournalOptions,
  parseJournalOptions,
} from './options.ts';
import type { Journal, JournalEvents, JournalRecovery } from './journal.ts';
import { type Ownership, takeOwnership } from './ownership/ownership.ts';
import { type RecoveryResult, recoverSegments } from './recovery.ts';
import { epochOfSpare } from './segments/segment-allocator.ts';
import { recordsFrom } from './segments/segment.ts';
import { indexDistance } from './segments/segment-log.ts';

/**
 * Opens the journal of a directory, taking the directory over from an owner that is gone.
 * @throws InvalidOptionError, JournalUnavailableError, JournalLockedError, JournalFullError when the disk has
 * no room for the owner's name, JournalCorruptError with `onCorruption: 'refuse'`
 */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const settings = parseJournalOptions(options);
  const { directory, files, signal } = settings;
  signal?.throwIfAborted();
  const announcer = createEmitter<JournalEvents>('holdfast:journal');
  const onLost: { tell?: (error: JournalLockedError) => void } = {};
  let ownership: Ownership | undefined;
  try {
    if (await files.makeDirectory(directory)) await files.syncDirectory(join(directory, '..'));
    ownership = await takeOwnership({ ...settings, onLost: (error) => onLost.tell?.(error) });
    return await openOwned(settings, ownership, announcer, onLost);
  } catch (error) {
    await Promise.allSettled([ownership?.release()]);
    if (errnoOf(error)?.startsWith('E') !== true) throw error;
    throw explain(directory, error);
  }
}

async function openOwned(
  settings: ResolvedJournalOptions,
  ownership: Ownership,
  announcer: Emitter<JournalEvents>,
  onLost: { tell?: (error: JournalLockedError) => void },
): Promise<Journal> {
  const { directory, files, segmentBytes } = settings;
  const path = join(directory, CHECKPOINT_NAME);
  const checkpoint = await readCheckpoint(files, path);
  const findings = await recoverSegments(
    files,
    directory,
    checkpoint.found,
    indexDistance(segmentBytes),
  );
  const refused = findings.damages.find((damage) => damage.acknowledged);
  if (settings.onCorruption === 'refuse' && refused !== undefined) throw refused;
  settings.signal?.throwIfAborted();

  for (const damaged of findings.damagedPaths) await quarantine(files, damaged);
  await settleNewest(files, findings);
  await removeStraySpares(files, directory);
  const id = findings.id ?? randomUUID();
  const file = await openCheckpoint(files, directory, path, checkpoint.found);
  try {
    // Durable before anything below the mark is deleted, or an append makes the identity matter.
    await file.write({ id, released: findings.released, next: findings.next });
  } catch (error) {
    await file.close();
    throw error;
  }
  announceFindings(announcer, findings);
  const recovery = describeFindings(findings, checkpoint.damaged);
  const journal = createDiskJournal({
    settings,
    ownership,
    announcer,
    id,
    findings,
    recovery,
    checkpoint: file,
  });
  onLost.tell = journal.lose;
  return journal.journal;
}

/**
 * Cuts the newest segment behind its last record, and makes its records durable: those of a killed process
 * may stand in the operating system's memory only, and the next segment will claim that they are there.
 */
async function settleNewest(files: FileSystem, { newest }: RecoveryResult): Promise<void> {
  if (newest === undefined) return;
  const file = await files.open(newest.path, 'write');
  try {
    if (newest.cutAt !== undefined) await file.truncate(newest.cutAt);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The owner is alone here: whatever was prepared by another is nobody's. */
async function removeStraySpares(files: FileSystem, directory: string): Promise<void> {
  for (const name of await files.list(directory)) {
    if (epochOfSpare(name) !== undefined) await files.remove(join(directory, name));
  }
}

function announceFindings(announcer: Emitter<JournalEvents>, findings: RecoveryResult): void {
  for (const damage of findings.damages) announcer.emit('quarantined', damage);
  if (findings.unfinished === undefined) return;
  const { path, offset, bytes, firstSequence } = findings.unfinished;
  announcer.emit('truncated', { file: path, offset, bytes, firstSequence });
}

function describeFindings(findings: RecoveryResult, checkpointLost: boolean): JournalRecovery {
  const { segments, released, unfinished, damages } = findings;
  return {
    records: segments.reduce((sum, segment) => sum + recordsFrom(segment, released + 1), 0),
    truncatedBytes: unfinished?.bytes ?? 0,
    ...(unfinished === undefined ? {} : { truncatedFrom: unfinished.firstSequence }),
    checkpointLost,
    quarantined: damages,
  };
}

const cures: Readonly<Record<string, string>> = {
  ENOENT: 'its parent folder does not exist: create that, or mount the volume it belongs to',
  ENOTDIR: 'something on its path is a file: name a directory',
  EACCES: 'this user may not write there: give it the directory, or run as its owner',
  EPERM: 'this user may not write there: give it the directory, or run as its owner',
  EROFS: 'the file system is mounted read-only: mount it writable, or name another directory',
};

function explain(directory: string, cause: unknown): Error {
  const errno = errnoOf(cause) ?? 'no code';
  if (isOutOfSpace(cause)) {
    const message = `journal: ${directory} could not be opened, its disk has no room (${errno}); free some and open it again`;
    return new JournalFullError('disk', message, { current: 0, cause });
  }
  const cure = cures[errno] ?? 'see the cause, and open it again';
  const message = `journal: ${directory} could not be opened (${errno}): ${cure}`;
  return new JournalUnavailableError(directory, message, cause);
}
