import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type FileSystem, writeAll } from '@holdfast/journal';
import { decodeDocuments } from '../../documents/chunk.ts';

/** A page on the disk is not what was written: it has to be fetched again. */
export class DamagedPage extends Error {
  constructor(file: string, cause: unknown) {
    super(`the page ${file} is damaged`, { cause });
  }
}

/**
 * Chunks of bundles, each a file under the hash of its bytes: equal ones are there once, and each proves itself when it is
 * read. So nothing is synced: what a loss of power has taken is fetched again.
 */
export class PageStore {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #names = new Set<string>();

  constructor(files: FileSystem, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  async open(): Promise<void> {
    await this.#files.makeDirectory(this.#directory);
    for (const name of await this.#files.list(this.#directory)) {
      if (/^[0-9a-f]{64}\.page$/.test(name)) this.#names.add(name);
      if (/^[0-9a-f]{64}\.page\.tmp$/.test(name)) await this.#remove(name);
    }
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** The name under which it is found again. */
  async put(chunk: Uint8Array): Promise<string> {
    const name = `${hashOf(chunk)}.page`;
    if (this.#names.has(name)) return name;
    const temporary = `${name}.tmp`;
    try {
      const file = await this.#files.open(join(this.#directory, temporary), 'create');
      try {
        await writeAll(file, chunk, 0);
      } finally {
        await file.close();
      }
      await this.#files.rename(join(this.#directory, temporary), join(this.#directory, name));
    } catch (error) {
      await Promise.allSettled([this.#remove(temporary)]);
      throw error;
    }
    this.#names.add(name);
    return name;
  }

  /** Its bundles as JSON. @throws DamagedPage */
  async read(name: string, rows: number, signal: AbortSignal): Promise<readonly string[]> {
    const bytes = await this.#wholeBytes(name);
    if (bytes === undefined)
      throw new DamagedPage(name, new Error('it is gone, or its hash differs'));
    try {
      const documents = await decodeDocuments(bytes, { signal });
      if (documents.length === rows) return documents;
    } catch (error) {
      signal.throwIfAborted();
      throw new DamagedPage(name, error);
    }
    throw new DamagedPage(name, new Error(`it does not have ${rows} rows`));
  }

  /** Deletes every damaged page: where the power has taken one, it has taken more. */
  async forgetDamaged(signal: AbortSignal): Promise<void> {
    for (const name of this.#names) {
      if (signal.aborted) return;
      if ((await this.#wholeBytes(name)) === undefined) await this.#forget(name);
    }
  }

  async #forget(name: string): Promise<void> {
    this.#names.delete(name);
    await this.#remove(name);
  }

  async #wholeBytes(name: string): Promise<Uint8Array | undefined> {
    // One that the disk cannot read is no better.
    const path = join(this.#directory, name);
    const bytes = await this.#files.readWhole(path).catch(() => undefined);
    return bytes !== undefined && `${hashOf(bytes)}.page` === name ? bytes : undefined;
  }

  /** Deletes all others. */
  async retain(names: ReadonlySet<string>): Promise<void> {
    for (const name of this.#names) if (!names.has(name)) await this.#forget(name);
  }

  async #remove(name: string): Promise<void> {
    await this.#files.remove(join(this.#directory, name));
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
