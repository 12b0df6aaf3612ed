import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { propertyOf } from '@holdfast/foundation';
import { type BlockName, isBlockOf } from './cid.ts';

/** Blocks as files, so that a download that was interrupted does not begin anew. */
export class BlockFiles {
  readonly #directory: string;
  #writes = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Verified once more: disks fail too. */
  async find(name: BlockName): Promise<Uint8Array | undefined> {
    try {
      const bytes = await readFile(join(this.#directory, name.text));
      return isBlockOf(name, bytes) ? bytes : undefined;
    } catch (error) {
      if (propertyOf(error, 'code') === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** @throws the system's own error when it cannot be stored */
  async store(name: BlockName, bytes: Uint8Array): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    const path = join(this.#directory, name.text);
    const draft = `${path}.${process.pid}-${(this.#writes += 1)}.tmp`;
    try {
      const file = await open(draft, 'wx');
      try {
        await file.writeFile(bytes);
      } finally {
        await file.close();
      }
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }
}
