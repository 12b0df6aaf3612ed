import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { FileSystem } from '@holdfast/journal';
import { writeAtomically } from '../files/atomic-file.ts';
import { safeFileName } from '../files/safe-file-name.ts';
import { KeyedMutex } from '@holdfast/foundation';

/** The description of an object, in its copy. */
export interface CopyHead {
  readonly key: string;
  readonly sha256: string;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const SUFFIX = '.copy';
/** The limit of copies that wait to be written; a copy beyond it is not kept. */
const MAX_WAITING = 256;
/** The same for their bytes, which are in memory until then. */
const MAX_WAITING_BYTES = 67_108_864;

/**
 * Copies of objects on this machine, for reads while no backend responds. They are a cache: none is synced,
 * each is verified when it is read, and the least recently used is evicted when there is no room.
 */
export class LocalCopies {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #maxEntries: number;
  readonly #maxCopyBytes: number;
  /** Sizes by name, the least recently used first. */
  readonly #sizes = new Map<string, number>();
  readonly #turns = new KeyedMutex();
  readonly #work = new Set<Promise<unknown>>();
  #bytes = 0;
  #waitingBytes = 0;

  /** @param options.maxCopyBytes longer objects are not copied, because a copy is read into memory. */
  constructor(
    files: FileSystem,
    options: { directory: string; maxBytes: number; maxEntries: number; maxCopyBytes: number },
  ) {
    this.#files = files;
    this.#directory = options.directory;
    this.#maxBytes = options.maxBytes;
    this.#maxEntries = options.maxEntries;
    this.#maxCopyBytes = Math.min(options.maxBytes, options.maxCopyBytes);
  }

  get stats(): { entries: number; bytes: number } {
    return { entries: this.#sizes.size, bytes: this.#bytes };
  }

  async open(): Promise<void> {
    await this.#files.makeDirectory(this.#directory);
    const found: { name: string; bytes: number; modifiedMs: number }[] = [];
    for (const name of await this.#files.list(this.#directory)) {
      if (!name.endsWith(SUFFIX)) continue;
      const status = await this.#files.status(join(this.#directory, name));
      if (status !== undefined) found.push({ name, ...status });
    }
    found.sort((left, right) => left.modifiedMs - right.modifiedMs);
    for (const { name, bytes } of found) this.#note(name, bytes);
    await this.#evict(0);
  }

  /** Replaces the copy of a key; none is kept when it does not fit or too many writes wait. */
  replace(head: CopyHead, bytes: Uint8Array | undefined): void {
    const name = this.#nameOf(head.key);
    if (
      bytes === undefined ||
      bytes.byteLength > this.#maxCopyBytes ||
      this.#work.size >= MAX_WAITING ||
      this.#waitingBytes + bytes.byteLength > MAX_WAITING_BYTES
    ) {
      this.#enqueue(name, () => this.#forget(name));
      return;
    }
    const encoded = [prefixOf(head), bytes];
    const size = encoded.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#waitingBytes += size;
    this.#enqueue(name, async () => {
      try {
        await this.#forget(name);
        await this.#evict(size);
        const temporary = `${name}.part`;
        const options = { temporary, syncs: false };
        await writeAtomically(this.#files, this.#directory, name, encoded, options);
        this.#note(name, size);
      } finally {
        this.#waitingBytes -= size;
      }
    });
  }

  forget(key: string): void {
    const name = this.#nameOf(key);
    this.#enqueue(name, () => this.#forget(name));
  }

  /** The verified copy of a key; `undefined` when there is none. */
  async read(key: string): Promise<{ head: CopyHead; bytes: Uint8Array } | undefined> {
    const name = this.#nameOf(key);
    return this.#turns.run(name, async () => {
      const size = this.#sizes.get(name);
      if (size === undefined) return undefined;
      const encoded = await this.#files.readWhole(join(this.#directory, name));
      const copy = encoded === undefined ? undefined : decode(encoded);
      if (copy === undefined || copy.head.key !== key) {
        await this.#forget(name);
        return undefined;
      }
      this.#sizes.delete(name);
      this.#sizes.set(name, size);
      return copy;
    });
  }

  async close(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
  }

  #enqueue(name: string, work: () => Promise<void>): void {
    // A copy that cannot be written is missing, no more.
    const done = this.#turns
      .run(name, work)
      .catch(() => undefined)
      .finally(() => {
        this.#work.delete(done);
      });
    this.#work.add(done);
  }

  async #evict(needed: number): Promise<void> {
    while (this.#bytes + needed > this.#maxBytes || this.#sizes.size >= this.#maxEntries) {
      const [oldest] = this.#sizes.keys();
      if (oldest === undefined) return;
      await this.#forget(oldest);
    }
  }

  async #forget(name: string): Promise<void> {
    const size = this.#sizes.get(name);
    if (size === undefined) return;
    this.#sizes.delete(name);
    this.#bytes -= size;
    await this.#files.remove(join(this.#directory, name));
  }

  #note(name: string, bytes: number): void {
    this.#sizes.set(name, bytes);
    this.#bytes += bytes;
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
  try {
    const from = 4 + buffer.readUInt32BE(0);
    const head: unknown = JSON.parse(buffer.toString('utf8', 4, from));
    const bytes = buffer.subarray(from);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return isCopyHead(head) && head.sha256 === sha256 ? { head, bytes } : undefined;
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
