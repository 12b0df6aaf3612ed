import type { Clock, Timer } from '@holdfast/foundation';
import { type JournalLockedError, type JournalUnavailableError, isErrno } from '../errors.ts';
import type { FileSystem, OpenFile } from '../files/file-system.ts';
import { GONE, type Incumbent, findOwner, ownerPath, writeComplete } from './incumbent.ts';
import { goneFrom, lostTo } from './owner-errors.ts';
import { type OwnerRecord, giveUp } from './owner-record.ts';

export type LostError = JournalLockedError | JournalUnavailableError;

/** The exclusive right to write to a directory. */
export interface Ownership {
  readonly epoch: number;
  /** Called once, when another process has taken the directory over, or the directory is gone. */
  onLost: ((error: LostError) => void) | undefined;
  /** Why the last heartbeat failed; `undefined` after one that did not. */
  readonly failure: unknown;
  /**
   * `undefined` while the right is certain. Otherwise checks it on the disk, and rejects with JournalLockedError
   * when another owner has the directory, with JournalUnavailableError when the directory is gone.
   */
  confirm(): Promise<void> | undefined;
  /**
   * Whether the directory still is at its path and this process its owner, as its owner's file shows; otherwise
   * the directory is lost.
   * @param path another file that has to be there.
   */
  isInPlace(path: string | undefined): Promise<boolean>;
  /** Beats at once, unless a beat is in progress; resolves when it has ended. Never rejects. */
  beat(): Promise<void>;
  /** Gives the directory up; the epoch stays on record. */
  release(): Promise<void>;
}

/** How the owner of a directory is kept on record. */
export interface OwnershipOptions {
  /** The file system. Default: that of Node. */
  readonly files: FileSystem;
  /** The directory that is owned. */
  readonly directory: string;
  /** The source of time. Default: the system clock. */
  readonly clock: Clock;
  /** How often the owner says that it lives, in milliseconds. */
  readonly heartbeatMs: number;
  /** After which silence an owner counts as dead, in milliseconds. */
  readonly ownerStaleMs: number;
  /** How long to wait for a former owner, in milliseconds. */
  readonly acquireTimeoutMs: number;
  /** Ends the wait, with the signal's reason. */
  readonly signal: AbortSignal | undefined;
}

/** Keeps the directory: touches the owner's file on a schedule, and detects when another owner replaced it. */
export class HeldOwnership implements Ownership {
  readonly epoch: number;
  onLost: ((error: LostError) => void) | undefined = undefined;
  readonly #options: OwnershipOptions;
  readonly #self: OwnerRecord;
  readonly #path: string;
  readonly #file: OpenFile;
  readonly #inode: number;
  failure: unknown = undefined;
  #lost: LostError | undefined;
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
    const status = await options.files.status(path);
    return new HeldOwnership(options, { self, epoch, file, inode: status?.inode ?? 0 });
  }

  private constructor(
    options: OwnershipOptions,
    held: { self: OwnerRecord; epoch: number; file: OpenFile; inode: number },
  ) {
    const { self, epoch, file, inode } = held;
    this.epoch = epoch;
    this.#inode = inode;
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

  async isInPlace(path: string | undefined): Promise<boolean> {
    const { files } = this.#options;
    try {
      const [owner, other] = await Promise.all([
        files.status(this.#path),
        path === undefined ? undefined : files.status(path),
      ]);
      const isThere = path === undefined || other !== undefined;
      if (owner?.inode === this.#inode && isThere) return true;
    } catch (error) {
      // Any other failure proves nothing: the records themselves were written.
      if (!isErrno(error, GONE)) return true;
    }
    await this.#lose();
    return false;
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    this.#timer?.cancel();
    await this.#beating;
    try {
      await this.#file.close();
      if (this.#lost !== undefined) return giveUp(this.#self.token);
      const { files } = this.#options;
      const next = `${this.#path}.released`;
      await writeComplete(files, next, { ...this.#self, released: true });
      await files.rename(next, this.#path);
    } catch (error) {
      giveUp(this.#self.token);
      throw error;
    }
  }

  beat(): Promise<void> {
    this.#timer?.cancel();
    this.#beating ??= this.#tryBeat();
    return this.#beating;
  }

  #scheduleBeat(): void {
    const { clock, heartbeatMs, ownerStaleMs } = this.#options;
    const delayMs = Math.min(heartbeatMs, ownerStaleMs / 4);
    this.#timer = clock.schedule(delayMs, () => void this.beat(), { holdsProcess: false });
  }

  async #tryBeat(): Promise<void> {
    try {
      await this.#check();
      this.failure = undefined;
    } catch (error) {
      // A write that comes long after the last success checks again first.
      this.failure = error;
    }
    this.#beating = undefined;
    if (!this.#released && this.#lost === undefined) this.#scheduleBeat();
  }

  /** Touches the owner's file, and reads which owner is the highest. */
  async #check(): Promise<void> {
    const { files, directory, clock } = this.#options;
    const nowMs = clock.now();
    const epochMs = clock.epochMs();
    // Writes the byte that is there: the file's time changes, its content does not.
    await this.#file.write(Buffer.from('{'), 0);
    const incumbent = await findOwner(files, directory);
    if (incumbent?.record?.token === this.#self.token) {
      this.#confirmedMs = nowMs;
      this.#confirmedEpochMs = epochMs;
      return;
    }
    await this.#lose(incumbent);
  }

  /** Another owner has the directory; without one it was removed, renamed or emptied. */
  async #lose(found?: Incumbent): Promise<void> {
    const { files, directory } = this.#options;
    const incumbent = found ?? (await findOwner(files, directory).catch(() => undefined));
    if (this.#lost !== undefined || this.#released) return;
    const isOurs = incumbent === undefined || incumbent.record?.token === this.#self.token;
    this.#lost = isOurs ? goneFrom(directory) : lostTo(directory, incumbent.record);
    this.onLost?.(this.#lost);
  }
}
