import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { OpenFile } from '@holdfast/journal';
import type { BodySource } from '../backend.ts';
import { CHUNK_BYTES, readFully } from '../files/atomic-file.ts';

/** The checksums of a file's blocks of {@link CHUNK_BYTES}: what is read is proven before it is handed out. */
export type BlockChecksums = readonly number[];

/** Hashes a body, and the blocks of the file that it will be. */
export class BodyDigest {
  readonly #hash = createHash('sha256');
  readonly #blocks: number[] = [];
  #blockBytes = 0;

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    for (let from = 0; from < chunk.byteLength;) {
      if (this.#blockBytes === 0) this.#blocks.push(0);
      const part = chunk.subarray(from, from + CHUNK_BYTES - this.#blockBytes);
      const last = this.#blocks.length - 1;
      this.#blocks[last] = crc32(part, this.#blocks[last]);
      this.#blockBytes = (this.#blockBytes + part.byteLength) % CHUNK_BYTES;
      from += part.byteLength;
    }
  }

  finish(): { sha256: string; blocks: BlockChecksums } {
    return { sha256: this.#hash.digest('hex'), blocks: this.#blocks };
  }
}

/** Makes the error of bytes that are not there any more; `missing`: the error of opening their file. */
export type OnDamage = (missing?: unknown) => unknown;

/** A body in a file, each block of which is verified before any of its bytes are handed out. */
export function checkedFileSource(
  openFile: () => Promise<OpenFile>,
  file: { readonly size: number; readonly blocks: BlockChecksums },
  onDamage: OnDamage,
): BodySource {
  return {
    size: file.size,
    async *open(from = 0, to = file.size, reuses = false) {
      if (to <= from) return;
      const reused = reuses ? Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, file.size)) : undefined;
      const opened = await openFile();
      try {
        for (let at = from; at < to;) {
          const block = Math.floor(at / CHUNK_BYTES);
          const start = block * CHUNK_BYTES;
          const length = Math.min(CHUNK_BYTES, file.size - start);
          const bytes = reused?.subarray(0, length) ?? Buffer.allocUnsafe(length);
          const read = await readFully(opened, bytes, start);
          if (read < length || crc32(bytes) !== file.blocks[block]) throw onDamage();
          yield bytes.subarray(at - start, to - start);
          at = start + length;
        }
      } finally {
        await opened.close();
      }
    },
  };
}
