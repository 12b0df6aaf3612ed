import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, settlesWithin } from '@holdfast/foundation';
import { type FileSystem, JournalWriteError, type OpenFile } from '@holdfast/journal';
import { errnoOf, isOutOfSpace } from '../files/errno.ts';
import { CHUNK_BYTES, readFully, writeAtomically } from '../files/atomic-file.ts';
import type { BodySource } from '../backend.ts';
import {
  type BlockChecksums,
  BodyDigest,
  type OnDamage,
  checkedFileSource,
} from './checked-file.ts';

const SUFFIX = '.blob';

interface FreeSpaceOptions {
  readonly clock: Clock;
  readonly ioTimeoutMs: number;
  /** Only the disks of the operating system are measured. */
  readonly measuresSpace: boolean;
}

/** Bodies too large for a record, one file each; a file is complete or does not exist. */
export class BodyFiles {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #space: FreeSpaceOptions;
  #measuring: Promise<number> | undefined;

  /** @param files whose calls end in time. */
  constructor(files: FileSystem, directory: string, space: FreeSpaceOptions) {
    this.#files = files;
    this.#directory = directory;
    this.#space = space;
  }

  async open(): Promise<void> {
    if (await this.#files.makeDirectory(this.#directory)) {
      await this.#files.syncDirectory(join(this.#directory, '..'));
    }
  }

  /**
   * Resolves once the bytes and the file name are durable.
   * @throws JournalWriteError when the disk fails or hangs, an error of the system when it is full; the errors of the
   *   body
   */
  async write(
    operationId: string,
    body: AsyncIterable<Uint8Array>,
    admit: (bytes: number) => void,
  ): Promise<{ blob: string; size: number; sha256: string; blocks: BlockChecksums }> {
    const digest = new BodyDigest();
    let failureOfBody: { readonly cause: unknown } | undefined;
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of body) {
          admit(chunk.byteLength);
          digest.update(chunk);
          yield chunk;
        }
      } catch (cause) {
        failureOfBody = { cause };
        throw cause;
      }
    };
    const blob = `${operationId}${SUFFIX}`;
    const names = { temporary: `${blob}.part`, syncs: true };
    try {
      const size = await writeAtomically(this.#files, this.#directory, blob, counted(), names);
      return { blob, size, ...digest.finish() };
    } catch (cause) {
      const isOfDisk = failureOfBody === undefined && errnoOf(cause)?.startsWith('E') === true;
      throw isOfDisk && !isOutOfSpace(cause) ? this.#writeError(blob, cause) : cause;
    }
  }

  #writeError(blob: string, cause: unknown): JournalWriteError {
    const file = join(this.#directory, blob);
    const message =
      `storage: writing ${file} failed (${errnoOf(cause) ?? 'no code'}), nothing is accepted; see to the disk, the ` +
      'mount and the directory';
    return new JournalWriteError(file, message, { cause, outcome: 'not-applied' });
  }

  /** @param onDamage makes the error of a read that finds a block damaged, or no file. */
  source(
    blob: string,
    content: { readonly size: number; readonly blocks: BlockChecksums },
    onDamage: OnDamage,
  ): BodySource {
    const open = () => this.#open(blob, onDamage);
    return checkedFileSource(open, content, onDamage);
  }

  /**
   * Reads a file of an earlier process, whose blocks are not known yet.
   * @param onDamage makes the error of a file that is shorter, or missing.
   */
  async digest(
    blob: string,
    size: number,
    onDamage: OnDamage,
  ): Promise<{ sha256: string; blocks: BlockChecksums }> {
    const digest = new BodyDigest();
    const file = await this.#open(blob, onDamage);
    try {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size));
      for (let at = 0; at < size; at += chunk.byteLength) {
        const wanted = chunk.subarray(0, size - at);
        if ((await readFully(file, wanted, at)) < wanted.byteLength) throw onDamage();
        digest.update(wanted);
      }
    } finally {
      await file.close();
    }
    return digest.finish();
  }

  /** A file that is missing alone is lost; where its directory is missing too, it may come back with that. */
  async #open(blob: string, onDamage: OnDamage): Promise<OpenFile> {
    try {
      return await this.#files.open(join(this.#directory, blob), 'read');
    } catch (error) {
      const isMissing = errnoOf(error) === 'ENOENT' && (await this.#isThere());
      throw isMissing ? onDamage(error) : error;
    }
  }

  #isThere(): Promise<boolean> {
    return this.#files.list(this.#directory).then(
      () => true,
      () => false,
    );
  }

  async remove(blob: string): Promise<void> {
    await this.#files.remove(join(this.#directory, blob));
  }

  /** Deletes files that no operation names: their process died before it wrote the record. */
  async removeOthers(named: ReadonlySet<string>): Promise<void> {
    for (const name of await this.#files.list(this.#directory)) {
      if (/\.blob(?:\.part)?$/.test(name) && !named.has(name)) await this.remove(name);
    }
  }

  /** The free bytes of the disk; `Infinity` where that cannot be measured. */
  async freeBytes(): Promise<number> {
    const { clock, ioTimeoutMs, measuresSpace } = this.#space;
    if (!measuresSpace) return Infinity;
    // A disk that hangs or is gone is told by the write itself.
    const unknown = (): number => Infinity;
    const measuring = (this.#measuring ??= statfs(this.#directory)
      .then(({ bavail, bsize }) => bavail * bsize, unknown)
      .finally(() => (this.#measuring = undefined)));
    return (await settlesWithin(clock, ioTimeoutMs, measuring)) ? measuring : Infinity;
  }
}
