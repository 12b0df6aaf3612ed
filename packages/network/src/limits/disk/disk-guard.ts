import { statfs } from 'node:fs/promises';
import {
  type Clock,
  type Emitter,
  InvalidOptionError,
  type ResolvedOptions,
  type Subscribe,
  type Timer,
  callback,
  createEmitter,
  integer,
  number,
  objectWith,
  parseOptions,
  string,
  systemClock,
  type EventKinds,
} from '@holdfast/foundation';
import { NetworkClosedError } from '../../errors.ts';
import { type FileContent, type ReplaceFileOptions, replaceFile } from './replace-file.ts';
import { DiskExhaustedError } from '../errors.ts';

/** What is left of a disk for users other than root. */
export interface DiskReading {
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Infinity, both, where files are not counted. */
  readonly freeInodes: number;
  readonly totalInodes: number;
}

/** Options of `createDiskGuard`. All times in milliseconds. */
export interface DiskGuardOptions {
  /** Any directory on the disk. */
  directory: string;
  /** The share that has to stay free, of bytes and of inodes: below it, writes are refused. Default 0.1. */
  refuseBelow?: number;
  /** The share from which on writes are taken again. Default 0.15. */
  resumeAt?: number;
  /** The share below which `evict` is emitted. Default 0.2. */
  evictBelow?: number;
  /** How often the disk is read, in milliseconds; a write reads it when that is over a second ago. Default 5 000. */
  intervalMs?: number;
  /** For tests. Default: `statfs`. */
  read?: (directory: string) => Promise<DiskReading>;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The events of a disk guard, by name. */
export interface DiskGuardEvents {
  /** Below `refuseBelow`, and above `resumeAt` again. */
  full: DiskReading;
  resumed: DiskReading;
  /** So much is wanted back: old logs are to be removed or compressed. */
  evict: { readonly bytes: number; readonly inodes: number };
}

const diskGuardEventKinds: EventKinds<DiskGuardEvents> = { full: true, resumed: true, evict: true };

/** What a disk guard knows and has refused, read at any time. */
export interface DiskGuardStats {
  /** Of the last reading. */
  readonly reading: DiskReading | undefined;
  readonly isFull: boolean;
  /** Bytes of writes that run. */
  readonly reservedBytes: number;
  /** Writes refused since the start. */
  readonly refused: number;
}

/**
 * Refuses writes before a disk is full, of bytes or of inodes, so that what is written is written whole.
 *
 *            free share < refuseBelow
 *   writable ────────────────────────▶ full: writes are refused
 *       ▲        both shares ≥ resumeAt  │
 *       └────────────────────────────────┘
 */
export interface DiskGuard {
  readonly on: Subscribe<DiskGuardEvents>;
  readonly isFull: boolean;
  /** Reads the disk now. @throws the error of the file system */
  check(): Promise<DiskReading>;
  /**
   * Calls `fn` with the bytes and one inode counted as taken until it has settled. An ENOSPC of `fn` becomes a
   * DiskExhaustedError.
   * @throws DiskExhaustedError, InvalidOptionError, NetworkClosedError, or what `fn` throws
   */
  reserve<T>(bytes: number, fn: () => T | PromiseLike<T>): Promise<T>;
  /**
   * Replaces a file, or makes it, as a whole: whatever fails, an earlier file is as it was and nothing else is left.
   * @throws as `reserve`, or the signal's own reason
   */
  writeFile(path: string, content: FileContent, options?: ReplaceFileOptions): Promise<void>;
  getStats(): DiskGuardStats;
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

const RECENT_MS = 1_000;
/** Of a stream whose length is not known, until it has ended. */
const STREAM_BYTES = 65_536;
const wantedBytes = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const schema = {
  directory: string({ maxLength: 4_096 }),
  refuseBelow: number({ min: 0, max: 1, default: 0.1 }),
  resumeAt: number({ min: 0, max: 1, default: 0.15 }),
  evictBelow: number({ min: 0, max: 1, default: 0.2 }),
  intervalMs: integer({ min: 1, max: 3_600_000, default: 5_000 }),
  read: callback<(directory: string) => Promise<DiskReading>>(readDisk),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Refuses writes before the disk is full, and asks for old files to be removed.
 * @throws InvalidOptionError
 */
export function createDiskGuard(options: DiskGuardOptions): DiskGuard {
  const resolved = parseOptions('createDiskGuard', schema, options);
  const { refuseBelow, resumeAt } = resolved;
  if (resumeAt < refuseBelow) {
    const permitted = `at least refuseBelow (${refuseBelow})`;
    throw new InvalidOptionError('createDiskGuard', 'resumeAt', resumeAt, permitted);
  }
  return new ReadingDiskGuard(resolved);
}

async function readDisk(directory: string): Promise<DiskReading> {
  const { bsize, bavail, blocks, ffree, files } = await statfs(directory);
  return {
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    freeInodes: files === 0 ? Infinity : ffree,
    totalInodes: files === 0 ? Infinity : files,
  };
}

class ReadingDiskGuard implements DiskGuard {
  readonly on: Subscribe<DiskGuardEvents>;
  readonly #emitter: Emitter<DiskGuardEvents> = createEmitter('holdfast:disk', diskGuardEventKinds);
  readonly #options: ResolvedOptions<typeof schema>;
  #reading: DiskReading | undefined;
  #readMs = -Infinity;
  #isFull = false;
  #reservedBytes = 0;
  #reservedInodes = 0;
  #refused = 0;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: ResolvedOptions<typeof schema>) {
    this.on = this.#emitter.on;
    this.#options = options;
    this.#arm();
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  async check(): Promise<DiskReading> {
    const { directory, read, clock, refuseBelow, resumeAt, evictBelow } = this.#options;
    const reading = await read(directory);
    this.#reading = reading;
    this.#readMs = clock.now();
    const free = Math.min(
      reading.freeBytes / reading.totalBytes,
      reading.totalInodes === Infinity ? 1 : reading.freeInodes / reading.totalInodes,
    );
    if (free < evictBelow) {
      this.#emitter.emit('evict', {
        bytes: lacking(evictBelow, reading.freeBytes, reading.totalBytes),
        inodes: lacking(evictBelow, reading.freeInodes, reading.totalInodes),
      });
    }
    const isFull = this.#isFull ? free < resumeAt : free < refuseBelow;
    if (isFull !== this.#isFull) {
      this.#isFull = isFull;
      this.#emitter.emit(isFull ? 'full' : 'resumed', reading);
    }
    return reading;
  }

  async reserve<T>(bytes: number, fn: () => T | PromiseLike<T>): Promise<T> {
    wantedBytes.parse(bytes, 'bytes', 'diskGuard.reserve');
    await this.#admit(bytes);
    this.#reservedBytes += bytes;
    this.#reservedInodes += 1;
    try {
      return await fn();
    } catch (error) {
      if (!isFullError(error)) throw error;
      const reading = await this.check().catch(() => this.#reading);
      throw this.#refuse(reading, 'the file system has no room', error);
    } finally {
      this.#reservedBytes -= bytes;
      this.#reservedInodes -= 1;
      // What it wrote is not in the last reading.
      this.#readMs = -Infinity;
    }
  }

  async writeFile(path: string, content: FileContent, options?: ReplaceFileOptions): Promise<void> {
    if (typeof path !== 'string' || path === '' || path.includes('\0')) {
      const permitted = 'a path without a zero byte';
      throw new InvalidOptionError('diskGuard.writeFile', 'path', path, permitted);
    }
    const length =
      typeof content === 'string' || content instanceof Uint8Array
        ? Buffer.byteLength(content)
        : STREAM_BYTES;
    await this.reserve(length, () => replaceFile(path, content, options));
  }

  getStats(): DiskGuardStats {
    return {
      reading: this.#reading,
      isFull: this.#isFull,
      reservedBytes: this.#reservedBytes,
      refused: this.#refused,
    };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  async #admit(bytes: number): Promise<void> {
    if (this.#closed) throw new NetworkClosedError('the disk guard');
    const { clock, refuseBelow, resumeAt } = this.#options;
    const isRecent = clock.now() - this.#readMs < RECENT_MS;
    const reading = isRecent && this.#reading !== undefined ? this.#reading : await this.check();
    if (this.#isFull) throw this.#refuse(reading, `full, until ${resumeAt * 100} % are free`);
    const freeBytes = reading.freeBytes - this.#reservedBytes - bytes;
    const freeInodes = reading.freeInodes - this.#reservedInodes - 1;
    if (
      freeBytes >= reading.totalBytes * refuseBelow &&
      !(freeInodes < reading.totalInodes * refuseBelow)
    ) {
      return;
    }
    throw this.#refuse(
      reading,
      `with ${bytes} bytes more, less than ${refuseBelow * 100} % are free`,
    );
  }

  #refuse(reading: DiskReading | undefined, seen: string, cause?: unknown): DiskExhaustedError {
    this.#refused += 1;
    const free = { bytes: reading?.freeBytes ?? 0, inodes: reading?.freeInodes ?? 0 };
    return new DiskExhaustedError(this.#options.directory, free, seen, cause);
  }

  #arm(): void {
    const { clock, intervalMs } = this.#options;
    const onDue = (): void => {
      // A disk that cannot be read is reported by the writes to it.
      const checked = this.check().catch(() => {});
      void checked.then(() => {
        if (!this.#closed) this.#arm();
      });
    };
    this.#timer = clock.schedule(intervalMs, onDue, { holdsProcess: false });
  }
}

function lacking(share: number, free: number, total: number): number {
  return total === Infinity ? 0 : Math.max(0, Math.ceil(share * total - free));
}

/** EDQUOT: the user's share of the disk is used up. */
function isFullError(error: unknown): boolean {
  const code =
    typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
