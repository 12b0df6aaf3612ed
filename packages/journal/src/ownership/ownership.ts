import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type Clock, type Timer, sleep } from '@holdfast/foundation';
import { JournalLockedError, isErrno } from '../errors.ts';
import { type FileSystem, type OpenFile, writeAll } from '../files/file-system.ts';
import { type OwnerRecord, describeSelf, ownerLiveness, parseOwner } from './owner-record.ts';
import { epochOfSpare } from '../segments/segment-allocator.ts';

/** The exclusive right to write to a directory. */
export interface Ownership {
  readonly epoch: number;
  /** Called once, when another process has taken the directory over. */
  onLost: ((error: JournalLockedError) => void) | undefined;
  /**
   * `undefined` while the right is certain. Otherwise checks it on the disk, and rejects with JournalLockedError
   * when another owner has the directory.
   */
  confirm(): Promise<void> | undefined;
  /** Gives the directory up; the epoch stays on record. */
  release(): Promise<void>;
}

interface OwnershipOptions {
  readonly files: FileSystem;
  readonly directory: string;
  readonly clock: Clock;
  readonly heartbeatMs: number;
  readonly ownerStaleMs: number;
  readonly acquireTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const WATCH_MS = 250;

/** The owner with the highest epoch. */
interface Incumbent {
  readonly epoch: number;
  readonly path: string;
  readonly record: OwnerRecord | undefined;
  readonly modifiedMs: number;
}

/** Whether the incumbent still runs, and how long its heartbeat proves that. */
interface Liveness {
  readonly kind: 'alive' | 'dead' | 'unknown';
  readonly restMs: number;
}

/**
 * Takes a directory whose owner is dead. The file `owner.<epoch>` appears complete and only once (by `link`);
 * a process that finds a higher epoch after creating its own withdraws, which closes the gap between checking
 * and creating.
 * @throws JournalLockedError
 */
export async function takeOwnership(options: OwnershipOptions): Promise<Ownership> {
  const self = await describeSelf(randomUUID(), options.clock.epochMs());
  return new Claim(options, self).take();
}

class Claim {
  readonly #options: OwnershipOptions;
  readonly #self: OwnerRecord;
  readonly #path: string;
  /** The incumbent whose heartbeat is being watched. */
  #watched: Incumbent | undefined;

  constructor(options: OwnershipOptions, self: OwnerRecord) {
    this.#options = options;
    this.#self = self;
    this.#path = join(options.directory, `owner.claim-${self.token}`);
  }

  async take(): Promise<Ownership> {
    const { files, directory, clock, acquireTimeoutMs, signal } = this.#options;
    const deadlineMs = clock.now() + acquireTimeoutMs;
    try {
      while (true) {
        signal?.throwIfAborted();
        const incumbent = await findIncumbent(files, directory);
        if (incumbent !== undefined) await this.#removeStaleSegments(incumbent);
        await writeComplete(files, this.#path, this.#self);
        if (incumbent !== undefined && !(await this.#isDead(incumbent, deadlineMs))) continue;
        this.#watched = undefined;
        const epoch = await this.#create((incumbent?.epoch ?? 0) + 1);
        if (epoch !== undefined) return await HeldOwnership.open(this.#options, this.#self, epoch);
      }
    } finally {
      await Promise.allSettled([files.remove(this.#path)]);
    }
  }

  /**
   * Whether the incumbent is dead; `false` after a moment of watching, when it may still turn out so.
   * @throws JournalLockedError when it is alive
   */
  async #isDead(incumbent: Incumbent, deadlineMs: number): Promise<boolean> {
    const { directory, clock, signal } = this.#options;
    const { kind, restMs } = await this.#liveness(incumbent);
    if (kind === 'dead') return true;
    const watched = this.#watched;
    const hasBeaten = watched !== undefined && watched.modifiedMs !== incumbent.modifiedMs;
    const pauseMs = Math.min(restMs, WATCH_MS);
    if (kind === 'alive' || hasBeaten || clock.now() + pauseMs > deadlineMs) {
      throw lockedBy(directory, incumbent.record, restMs);
    }
    this.#watched = incumbent;
    await sleep(clock, pauseMs, signal);
    return false;
  }

  async #liveness(incumbent: Incumbent): Promise<Liveness> {
    const { files, ownerStaleMs } = this.#options;
    const { record } = incumbent;
    const kind = record === undefined ? 'unknown' : await ownerLiveness(record, this.#self);
    // Both times are by the clock that stamps the directory's files, which may be another machine's.
    const claim = await files.status(this.#path);
    const restMs = incumbent.modifiedMs + ownerStaleMs - (claim?.modifiedMs ?? 0);
    return kind === 'unknown' && restMs <= 0
      ? { kind: 'dead', restMs: 0 }
      : { kind, restMs: Math.max(1, Math.min(restMs, ownerStaleMs)) };
  }

  /** Creates the owner's file; `undefined` when another process was faster. */
  async #create(epoch: number): Promise<number | undefined> {
    const { files, directory } = this.#options;
    const path = ownerPath(directory, epoch);
    try {
      await files.link(this.#path, path);
    } catch (error) {
      if (isErrno(error, ['EEXIST', 'ENOENT'])) return undefined;
      throw error;
    }
    const [highest, ...lower] = await listOwners(files, directory);
    if (highest !== epoch) {
      await files.remove(path);
      return undefined;
    }
    await files.syncDirectory(directory);
    for (const old of lower) await files.remove(ownerPath(directory, old));
    return epoch;
  }

  /** On a full disk, megabytes of prepared zeros must not keep the next owner out. */
  async #removeStaleSegments({ record, epoch }: Incumbent): Promise<void> {
    if (record === undefined || (await ownerLiveness(record, this.#self)) !== 'dead') return;
    const { files, directory } = this.#options;
    for (const name of await files.list(directory)) {
      const spareEpoch = epochOfSpare(name);
      if (spareEpoch !== undefined && spareEpoch <= epoch)
        await files.remove(join(directory, name));
    }
  }
}

/** Keeps the directory: touches the owner's file on a schedule, and detects when another owner replaced it. */
class HeldOwnership implements Ownership {
  readonly epoch: number;
  onLost: ((error: JournalLockedError) => void) | undefined = undefined;
  readonly #options: OwnershipOptions;
  readonly #self: OwnerRecord;
  readonly #path: string;
  readonly #file: OpenFile;
  #lost: JournalLockedError | undefined;
  #released = false;
  #confirmedMs: number;
  #confirmedEpochMs: number;
  #timer: Timer | undefined;
  #beating: Promise<void> | undefined;

  static async open(
    options: OwnershipOptions,
    self: OwnerRecord,
    epoch: number,
  ): Promise<HeldOwnership> {
    const path = ownerPath(options.directory, epoch);
    const file = await options.files.open(path, 'write');
    return new HeldOwnership(options, self, epoch, file);
  }

  private constructor(options: OwnershipOptions, self: OwnerRecord, epoch: number, file: OpenFile) {
    this.epoch = epoch;
    this.#options = options;
    this.#self = self;
    this.#path = ownerPath(options.directory, epoch);
    this.#file = file;
    this.#confirmedMs = options.clock.now();
    this.#confirmedEpochMs = options.clock.epochMs();
    this.#scheduleBeat();
  }

  confirm(): Promise<void> | undefined {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    const { clock, ownerStaleMs } = this.#options;
    // The monotonic clock stops while a machine is suspended, the wall clock does not.
    const silentMs = Math.max(
      clock.now() - this.#confirmedMs,
      clock.epochMs() - this.#confirmedEpochMs,
    );
    if (silentMs <= ownerStaleMs / 2) return undefined;
    return this.#check().then(() => {
      if (this.#lost !== undefined) throw this.#lost;
    });
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#timer?.cancel();
    await this.#beating;
    await this.#file.close();
    if (this.#lost !== undefined) return;
    const { files } = this.#options;
    const next = `${this.#path}.released`;
    await writeComplete(files, next, { ...this.#self, released: true });
    await files.rename(next, this.#path);
  }

  #scheduleBeat(): void {
    const { clock, heartbeatMs } = this.#options;
    this.#timer = clock.schedule(heartbeatMs, () => this.#beat(), { holdsProcess: false });
  }

  #beat(): void {
    this.#beating = this.#check()
      // The disk did not answer. A write that comes long after the last success checks again first.
      .catch(() => undefined)
      .then(() => {
        this.#beating = undefined;
        if (!this.#released && this.#lost === undefined) this.#scheduleBeat();
      });
  }

  /** Touches the owner's file, and reads which owner is the highest. */
  async #check(): Promise<void> {
    const { files, directory, clock } = this.#options;
    const nowMs = clock.now();
    const epochMs = clock.epochMs();
    // Writes the byte that is there: the file's time changes, its content does not.
    await this.#file.write(Buffer.from('{'), 0);
    const incumbent = await findIncumbent(files, directory);
    if (incumbent?.record?.token === this.#self.token) {
      this.#confirmedMs = nowMs;
      this.#confirmedEpochMs = epochMs;
      return;
    }
    if (this.#lost !== undefined || this.#released) return;
    this.#lost = lostTo(directory, incumbent?.record);
    this.onLost?.(this.#lost);
  }
}

async function findIncumbent(files: FileSystem, directory: string): Promise<Incumbent | undefined> {
  const [epoch] = await listOwners(files, directory);
  if (epoch === undefined) return undefined;
  const path = ownerPath(directory, epoch);
  const [status, content] = [await files.status(path), await files.readWhole(path)];
  // The file was deleted since it was listed: there is a higher one.
  if (status === undefined || content === undefined) return findIncumbent(files, directory);
  return { epoch, path, record: parseOwner(content), modifiedMs: status.modifiedMs };
}

/** The epochs with an owner's file, the highest first. */
async function listOwners(files: FileSystem, directory: string): Promise<number[]> {
  const epochs: number[] = [];
  for (const name of await files.list(directory)) {
    const digits = /^owner\.(\d+)$/.exec(name)?.[1];
    if (digits !== undefined) epochs.push(Number(digits));
  }
  return epochs.toSorted((left, right) => right - left);
}

async function writeComplete(files: FileSystem, path: string, record: OwnerRecord): Promise<void> {
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
