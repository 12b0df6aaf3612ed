import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { FileSystem } from '@holdfast/journal';
import { readFully, writeAtomically } from '../files/atomic-file.ts';
import { safeFileName } from '../files/safe-file-name.ts';
import { KeyedMutex } from '@holdfast/foundation';

/** The description of an object, in its copy. */
export interface CopyHead {
  readonly key: string;
  readonly sha256: string;
  readonly contentType: string;
  /** Absent where the source of the copy did not tell it. */
  readonly cacheControl?: string;
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * When the object was modified at the latest, by the clock of the backend that it was read from, or by this
   * machine's for an upload.
   */
  readonly modifiedUntilEpochMs?: number;
}

/** What is known of a copy without reading its file. */
export interface LocalCopy {
  readonly key: string;
  readonly sha256: string;
  /** Bytes of the object. */
  readonly size: number;
  /** Bytes of the file. */
  readonly bytes: number;
  /** See {@link CopyHead}. */
  readonly modifiedUntilEpochMs: number;
  /** The position in the order in which copies were made. */
  readonly order: number;
}

const SUFFIX = '.copy';
/** Of a copy that is being written. */
const PART = `${SUFFIX}.part`;
/** The turn of all copies that are written; the name of no copy. */
const WRITING = '';
/** The limit of copies that wait to be written; a copy beyond it is not kept. */
const MAX_WAITING = 256;
/** The same for their bytes, which are in memory until then. */
const MAX_WAITING_BYTES = 67_108_864;
/** The head of a copy with the longest key and metadata is shorter. */
const MAX_HEAD_BYTES = 16_384;
/** Copies that are described at a time when the directory is opened. */
const OPENED_AT_ONCE = 16;
/** An upload normally arrives at the primary within this time. */
const ARRIVES_WITHIN_MS = 2_000;

/**
 * Copies of objects on this machine, for reads while no backend responds. They are a cache: none is synced,
 * each is verified when it is read, and the least recently used is evicted when there is no room. A copy that is
 * known to be behind is removed for good before anything newer is returned to a caller.
 */
export class LocalCopies {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #maxEntries: number;
  readonly #maxCopyBytes: number;
  readonly #epochMs: () => number;
  /** By file name, the least recently used first. */
  readonly #copies = new Map<string, LocalCopy>();
  readonly #turns = new KeyedMutex();
  readonly #work = new Set<Promise<unknown>>();
  #bytes = 0;
  #waitingBytes = 0;
  #order = 0;

  /** @param options.maxCopyBytes longer objects are not copied, because a copy is read into memory. */
  constructor(
    files: FileSystem,
    options: {
      directory: string;
      maxBytes: number;
      maxEntries: number;
      maxCopyBytes: number;
      epochMs: () => number;
    },
  ) {
    this.#files = files;
    this.#directory = options.directory;
    this.#maxBytes = options.maxBytes;
    this.#maxEntries = options.maxEntries;
    this.#maxCopyBytes = Math.min(options.maxBytes, options.maxCopyBytes);
    this.#epochMs = options.epochMs;
  }

  get stats(): { entries: number; bytes: number } {
    return { entries: this.#copies.size, bytes: this.#bytes };
  }

  /** The order of the copy that was made last. */
  get order(): number {
    return this.#order;
  }

  all(): Iterable<LocalCopy> {
    return this.#copies.values();
  }

  get(key: string): LocalCopy | undefined {
    return this.#copies.get(this.#nameOf(key));
  }

  async open(): Promise<void> {
    await this.#files.makeDirectory(this.#directory);
    const names = await this.#files.list(this.#directory);
    for (const name of names.filter((one) => one.endsWith(PART))) {
      // Its process died amid the copy.
      await this.#files.remove(join(this.#directory, name));
    }
    const copies = names.filter((name) => name.endsWith(SUFFIX)).values();
    const found: { name: string; copy: LocalCopy; modifiedMs: number }[] = [];
    const describeRest = async (): Promise<void> => {
      for (const name of copies) {
        // A file that cannot be read is no copy.
        const described = await this.#describe(name).catch(() => undefined);
        if (described !== undefined) found.push({ name, ...described });
      }
    };
    await Promise.all(Array.from({ length: OPENED_AT_ONCE }, describeRest));
    found.sort((left, right) => left.modifiedMs - right.modifiedMs);
    for (const { name, copy } of found) this.#note(name, copy);
    await this.#evict();
  }

  /**
   * Replaces the copy of a key; none is kept when it does not fit or too many writes wait.
   * @returns when the copy before it is gone from the disk; `undefined` when there is none. It never rejects.
   */
  replace(head: CopyHead, bytes: Uint8Array | undefined): Promise<void> | undefined {
    const name = this.#nameOf(head.key);
    if (
      bytes === undefined ||
      bytes.byteLength > this.#maxCopyBytes ||
      this.#work.size >= MAX_WAITING ||
      this.#waitingBytes + bytes.byteLength > MAX_WAITING_BYTES
    ) {
      return this.forget(head.key);
    }
    const { key, sha256, modifiedUntilEpochMs = this.#epochMs() + ARRIVES_WITHIN_MS } = head;
    const encoded = [prefixOf({ ...head, modifiedUntilEpochMs }), bytes];
    const size = encoded.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#waitingBytes += size;
    const isFirst = !this.#copies.has(name) && !this.#turns.has(name);
    const replaced = new Promise<void>((resolve) => {
      void this.#enqueue(name, async () => {
        try {
          await this.#forget(name).finally(resolve);
          const described = { key, sha256, size: bytes.byteLength, bytes: size };
          // Many at once would all be on the disk before the first of them is evicted.
          await this.#turns.run(WRITING, async () => {
            this.#order += 1;
            this.#note(name, { ...described, modifiedUntilEpochMs, order: this.#order });
            await this.#evict();
            if (this.#copies.has(name)) await this.#write(name, encoded);
          });
        } finally {
          this.#waitingBytes -= size;
        }
      });
    });
    return isFirst ? undefined : replaced;
  }

  /** Resolves when no copy of the key is on the disk. Never rejects. */
  async forget(key: string): Promise<void> {
    const name = this.#nameOf(key);
    if (!this.#copies.has(name) && !this.#turns.has(name)) return;
    await this.#enqueue(name, () => this.#forget(name));
  }

  /**
   * Removes the copy of a key if it is behind, so that it does not come back after a power loss either. Resolves when
   * it is gone, and never rejects.
   */
  async forgetIf(key: string, isBehind: (copy: LocalCopy) => boolean): Promise<void> {
    const name = this.#nameOf(key);
    const known = this.#copies.get(name);
    if (!this.#turns.has(name) && (known === undefined || !isBehind(known))) return;
    await this.#enqueue(name, async () => {
      const copy = this.#copies.get(name);
      if (copy === undefined || !isBehind(copy)) return;
      await this.#forget(name);
      await this.#files.syncDirectory(this.#directory);
    });
  }

  /** The primary has the copied object since now at the latest, by this machine's clock. */
  arrived(key: string): void {
    const name = this.#nameOf(key);
    const copy = this.#copies.get(name);
    if (copy !== undefined) {
      this.#copies.set(name, { ...copy, modifiedUntilEpochMs: this.#epochMs() });
    }
  }

  /** The verified copy of a key; `undefined` when there is none. */
  async read(key: string): Promise<{ head: CopyHead; bytes: Uint8Array } | undefined> {
    const name = this.#nameOf(key);
    return this.#turns.run(name, async () => {
      const known = this.#copies.get(name);
      if (known === undefined) return undefined;
      const encoded = await this.#files.readWhole(join(this.#directory, name));
      const copy = encoded === undefined ? undefined : decode(encoded);
      if (copy === undefined || copy.head.key !== key) {
        await this.#forget(name);
        return undefined;
      }
      this.touch(key);
      return copy;
    });
  }

  /** The copy of a key was used. */
  touch(key: string): void {
    const name = this.#nameOf(key);
    const copy = this.#copies.get(name);
    if (copy === undefined) return;
    this.#copies.delete(name);
    this.#copies.set(name, copy);
  }

  async close(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
  }

  #enqueue(name: string, work: () => Promise<void>): Promise<void> {
    // A copy that cannot be written is missing, no more.
    const done = this.#turns
      .run(name, work)
      .catch(() => undefined)
      .finally(() => {
        this.#work.delete(done);
      });
    this.#work.add(done);
    return done;
  }

  async #write(name: string, encoded: readonly Uint8Array[]): Promise<void> {
    const options = { temporary: `${name.slice(0, -SUFFIX.length)}${PART}`, syncs: false };
    try {
      await writeAtomically(this.#files, this.#directory, name, encoded, options);
    } catch (error) {
      await this.#forget(name);
      throw error;
    }
  }

  /** Describes a copy of an earlier process; a file that is no copy is removed. */
  async #describe(name: string): Promise<{ copy: LocalCopy; modifiedMs: number } | undefined> {
    const path = join(this.#directory, name);
    const status = await this.#files.status(path);
    if (status === undefined) return undefined;
    const file = await this.#files.open(path, 'read');
    const start = Buffer.alloc(Math.min(MAX_HEAD_BYTES, status.bytes));
    await readFully(file, start, 0).finally(() => file.close());
    const decoded = decodeHead(start);
    if (decoded === undefined || this.#nameOf(decoded.head.key) !== name) {
      await this.#files.remove(path);
      return undefined;
    }
    const { bytes, modifiedMs } = status;
    const { key, sha256, modifiedUntilEpochMs = modifiedMs + ARRIVES_WITHIN_MS } = decoded.head;
    const size = bytes - decoded.bodyAt;
    return { copy: { key, sha256, size, bytes, modifiedUntilEpochMs, order: 0 }, modifiedMs };
  }

  async #evict(): Promise<void> {
    while (this.#bytes > this.#maxBytes || this.#copies.size > this.#maxEntries) {
      const [oldest] = this.#copies.keys();
      if (oldest === undefined) return;
      await this.#forget(oldest);
    }
  }

  async #forget(name: string): Promise<void> {
    const copy = this.#copies.get(name);
    if (copy === undefined) return;
    this.#copies.delete(name);
    this.#bytes -= copy.bytes;
    await this.#files.remove(join(this.#directory, name));
  }

  #note(name: string, copy: LocalCopy): void {
    this.#copies.set(name, copy);
    this.#bytes += copy.bytes;
  }

  #nameOf(key: string): string {
    return `${safeFileName('', key)}${SUFFIX}`;
  }
}

/** Before the bytes: the length of the head (u32, big-endian), and the head as JSON. */
function prefixOf(head: CopyHead): Buffer {
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.byteLength);
  return Buffer.concat([length, json]);
}

function decode(encoded: Uint8Array): { head: CopyHead; bytes: Uint8Array } | undefined {
  const buffer = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  const decoded = decodeHead(buffer);
  if (decoded === undefined) return undefined;
  const { head, bodyAt } = decoded;
  const bytes = buffer.subarray(bodyAt);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return head.sha256 === sha256 ? { head, bytes } : undefined;
}

function decodeHead(buffer: Buffer): { head: CopyHead; bodyAt: number } | undefined {
  try {
    const bodyAt = 4 + buffer.readUInt32BE(0);
    const head: unknown = JSON.parse(buffer.toString('utf8', 4, bodyAt));
    return isCopyHead(head) ? { head, bodyAt } : undefined;
  } catch {
    return undefined;
  }
}

function isCopyHead(value: unknown): value is CopyHead {
  return (
    typeof value === 'object' &&
    value !== null &&
    'key' in value &&
    'sha256' in value &&
    'contentType' in value &&
    'metadata' in value
  );
}
