import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type Clock, type Timer, sleep } from '@holdfast/foundation';
import { JournalLockedError, isErrno } from '../errors.ts';
import { type FileSystem, type OpenFile, writeAll } from '../files/file-system.ts';
import { type OwnerRecord, describeSelf, ownerLiveness, parseOwner } from './owner-record.ts';
import { epochOfSpare } from '../segments/segment-allocator.ts';

/** The right to write to a directory. */
export interface Ownership {
  readonly epoch: number;
  /** Nothing while the right is certain; else looks again, and rejects with JournalLockedError if it is gone. */
  confirm(): Promise<void> | undefined;
  /** Gives the directory free; the epoch stays on record. */
  release(): Promise<void>;
}

export interface OwnershipOptions {
  readonly files: FileSystem;
  readonly directory: string;
  readonly clock: Clock;
  readonly heartbeatMs: number;
  readonly ownerStaleMs: number;
  readonly acquireTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onLost: (error: JournalLockedError) => void;
}

const WATCH_MS = 250;

interface Incumbent {
  readonly epoch: number;
  readonly path: string;
  readonly record: OwnerRecord | undefined;
  readonly modifiedMs: number;
}

/**
 * Takes a directory whose owner is gone. The file `owner.<epoch>` appears whole and only once (link); who
 * finds a higher one after making his own withdraws, which closes the gap between looking and making.
 * @throws JournalLockedError
 */
export async function takeOwnership(options: OwnershipOptions): Promise<Ownership> {
  const { files, directory, clock } = options;
  const self = await describeSelf(randomUUID(), clock.epochMs());
  const claimPath = join(directory, `owner.claim-${self.token}`);
  const deadlineMs = clock.now() + options.acquireTimeoutMs;
  let watched: Incumbent | undefined;
  try {
    while (true) {
      options.signal?.throwIfAborted();
      const incumbent = await findIncumbent(files, directory);
      if (incumbent !== undefined) await removeSparesOfTheDead(incumbent);
      await writeWhole(files, claimPath, self);
      if (incumbent !== undefined) {
        const verdict = await judge(incumbent);
        if (verdict.standing !== 'dead') {
          const moved = watched !== undefined && watched.modifiedMs !== incumbent.modifiedMs;
          const over = clock.now() + Math.min(verdict.restMs, WATCH_MS) > deadlineMs;
          if (verdict.standing === 'alive' || moved || over) {
            throw lockedBy(directory, incumbent.record, verdict.restMs);
          }
          watched = incumbent;
          await sleep(clock, Math.min(verdict.restMs, WATCH_MS), options.signal);
          continue;
        }
      }
      watched = undefined;
      const epoch = (incumbent?.epoch ?? 0) + 1;
      const path = ownerPath(directory, epoch);
      try {
        await files.link(claimPath, path);
      } catch (error) {
        if (isErrno(error, ['EEXIST', 'ENOENT'])) continue;
        throw error;
      }
      const [highest, ...lower] = await listOwners(files, directory);
      if (highest !== epoch) {
        await files.remove(path);
        continue;
      }
      await files.syncDirectory(directory);
      for (const old of lower) await files.remove(ownerPath(directory, old));
      return await hold(options, self, epoch);
    }
  } finally {
    await Promise.allSettled([files.remove(claimPath)]);
  }

  async function judge(
    incumbent: Incumbent,
  ): Promise<{ standing: 'alive' | 'dead' | 'unknown'; restMs: number }> {
    const { record } = incumbent;
    const standing = record === undefined ? 'unknown' : await ownerLiveness(record, self);
    // Both ages by the clock that stamps the directory's files, which may be another machine's.
    const claim = await files.status(claimPath);
    const restMs = incumbent.modifiedMs + options.ownerStaleMs - (claim?.modifiedMs ?? 0);
    return standing === 'unknown' && restMs <= 0
      ? { standing: 'dead', restMs: 0 }
      : { standing, restMs: Math.max(1, Math.min(restMs, options.ownerStaleMs)) };
  }

  /** A full disk must not keep the next owner out while megabytes of zeros lie in it. */
  async function removeSparesOfTheDead(incumbent: Incumbent): Promise<void> {
    const { record } = incumbent;
    if (record === undefined || (await ownerLiveness(record, self)) !== 'dead') return;
    for (const name of await files.list(directory)) {
      const epoch = epochOfSpare(name);
      if (epoch !== undefined && epoch <= incumbent.epoch)
        await files.remove(join(directory, name));
    }
  }
}

/** Keeps the right: touches the owner's file on a schedule, and notices when it is no longer the one. */
async function hold(
  options: OwnershipOptions,
  self: OwnerRecord,
  epoch: number,
): Promise<Ownership> {
  const { files, directory, clock, heartbeatMs, ownerStaleMs, onLost } = options;
  const path = ownerPath(directory, epoch);
  const file: OpenFile = await files.open(path, 'write');
  let lost: JournalLockedError | undefined;
  let released = false;
  let seenMs = clock.now();
  let seenEpochMs = clock.epochMs();
  let timer: Timer | undefined;
  let beating: Promise<void> | undefined;

  const look = async (): Promise<void> => {
    const atMs = clock.now();
    const atEpochMs = clock.epochMs();
    // The same byte again: the file's time moves, its content does not.
    await file.write(Buffer.from('{'), 0);
    const incumbent = await findIncumbent(files, directory);
    if (incumbent?.record?.token === self.token) {
      seenMs = atMs;
      seenEpochMs = atEpochMs;
      return;
    }
    if (lost !== undefined || released) return;
    lost = lostTo(directory, incumbent?.record);
    onLost(lost);
  };

  const beat = (): void => {
    timer = clock.schedule(
      heartbeatMs,
      () => {
        beating = look()
          // The disk did not answer; a write that comes too late after this looks again first.
          .catch(() => undefined)
          .then(() => {
            beating = undefined;
            if (!released && lost === undefined) beat();
          });
      },
      { holdsProcess: false },
    );
  };
  beat();

  return {
    epoch,
    confirm() {
      if (lost !== undefined) return Promise.reject(lost);
      // The monotonic clock stands still while a machine is suspended, the wall clock does not.
      const silentMs = Math.max(clock.now() - seenMs, clock.epochMs() - seenEpochMs);
      if (silentMs <= ownerStaleMs / 2) return undefined;
      return look().then(() => {
        if (lost !== undefined) throw lost;
      });
    },
    async release() {
      if (released) return;
      released = true;
      timer?.cancel();
      await beating;
      await file.close();
      if (lost !== undefined) return;
      const next = `${path}.released`;
      await writeWhole(files, next, { ...self, released: true });
      await files.rename(next, path);
    },
  };
}

async function findIncumbent(files: FileSystem, directory: string): Promise<Incumbent | undefined> {
  const [epoch] = await listOwners(files, directory);
  if (epoch === undefined) return undefined;
  const path = ownerPath(directory, epoch);
  const [status, content] = [await files.status(path), await files.readWhole(path)];
  // Deleted since it was listed: a higher one came.
  if (status === undefined || content === undefined) return findIncumbent(files, directory);
  return { epoch, path, record: parseOwner(content), modifiedMs: status.modifiedMs };
}

/** Epochs that have an owner's file, the highest first. */
async function listOwners(files: FileSystem, directory: string): Promise<number[]> {
  const epochs: number[] = [];
  for (const name of await files.list(directory)) {
    const digits = /^owner\.(\d+)$/.exec(name)?.[1];
    if (digits !== undefined) epochs.push(Number(digits));
  }
  return epochs.toSorted((left, right) => right - left);
}

async function writeWhole(files: FileSystem, path: string, record: OwnerRecord): Promise<void> {
  const file = await files.open(path, 'create');
  try {
    await writeAll(file, Buffer.from(JSON.stringify(record)), 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

function ownerPath(directory: string, epoch: number): string {
  return join(directory, `owner.${epoch}`);
}

function lockedBy(
  directory: string,
  owner: OwnerRecord | undefined,
  retryAfterMs: number,
): JournalLockedError {
  return new JournalLockedError(
    directory,
    `journal: ${directory} is owned by ${describeOwner(owner)}, which is alive; ` +
      'stop it, or give this process a directory of its own',
    { ...ownerDetails(owner), retryable: true, retryAfterMs },
  );
}

function lostTo(directory: string, owner: OwnerRecord | undefined): JournalLockedError {
  return new JournalLockedError(
    directory,
    `journal: ${directory} was taken over by ${describeOwner(owner)} while this process stood ` +
      'still; nothing more is written here by this one: open the journal again',
    { ...ownerDetails(owner), retryable: false },
  );
}

function describeOwner(owner: OwnerRecord | undefined): string {
  if (owner === undefined) return 'a process that left no readable name';
  const since = new Date(owner.sinceEpochMs).toISOString();
  return `process ${owner.pid} on ${owner.host} since ${since}`;
}

function ownerDetails(owner: OwnerRecord | undefined): {
  pid?: number;
  host?: string;
  sinceEpochMs?: number;
} {
  if (owner === undefined) return {};
  return { pid: owner.pid, host: owner.host, sinceEpochMs: owner.sinceEpochMs };
}
