import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileSystem, nodeFileSystem } from '@holdfast/journal';
import { writeAtomically } from '../files/atomic-file.ts';
import type { BodySource } from '../backend.ts';
import { fileSource } from '../object/body.ts';

const SUFFIX = '.blob';

/** Bodies too large for a record, one file each; a file is complete or does not exist. */
export class BodyFiles {
  readonly #files: FileSystem;
  readonly #directory: string;

  constructor(files: FileSystem, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  async open(): Promise<void> {
    if (await this.#files.makeDirectory(this.#directory)) {
      await this.#files.syncDirectory(join(this.#directory, '..'));
    }
  }

  /** Resolves once the bytes and the file name are durable. */
  async write(
    operationId: string,
    body: AsyncIterable<Uint8Array>,
    admit: (bytes: number) => void,
  ): Promise<{ blob: string; size: number; sha256: string }> {
    const hash = createHash('sha256');
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) {
        admit(chunk.byteLength);
        hash.update(chunk);
        yield chunk;
      }
    };
    const blob = `${operationId}${SUFFIX}`;
    const size = await writeAtomically(this.#files, this.#directory, blob, counted(), {
      temporary: `${blob}.part`,
      syncs: true,
    });
    return { blob, size, sha256: hash.digest('hex') };
  }

  source(blob: string, size: number): BodySource {
    return fileSource(this.#files, join(this.#directory, blob), size);
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
    if (this.#files !== nodeFileSystem) return Infinity;
    const { bavail, bsize } = await statfs(this.#directory);
    return bavail * bsize;
  }
}
