import { type OpenFile, writeAll } from '../files/file-system.ts';
import { HEADER_BYTES } from './segment-format.ts';
import type { Segment } from './segment.ts';

/** The segment that batches are written to. */
export class ActiveSegment {
  readonly segment: Segment;
  readonly #file: OpenFile;

  constructor(segment: Segment, file: OpenFile) {
    this.segment = segment;
    this.#file = file;
  }

  get isEmpty(): boolean {
    return this.segment.end === this.segment.first;
  }

  /** Where the last record ends, and the next one begins. */
  get endOffset(): number {
    return this.segment.extents.at(-1)?.endOffset ?? HEADER_BYTES;
  }

  /** @param how `writeThrough`: resolves when the frames are on the disk. */
  write(frames: Uint8Array, how: 'write' | 'writeThrough'): Promise<void> {
    return writeAll(this.#file, frames, this.endOffset, how);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  /** Cuts off what a failed write left, so that recovery never reads it as a record; `false` if that failed. */
  async cutUnfinishedWrite(): Promise<boolean> {
    try {
      await this.#file.truncate(this.endOffset);
      await this.#file.sync();
      return true;
    } catch {
      return false;
    }
  }

  /** Nothing more is written: frees the preallocated space and closes the file. Never rejects. */
  async retire(): Promise<void> {
    await Promise.allSettled([this.#file.truncate(this.endOffset)]);
    await this.close();
  }

  /** Closes the file as it is. Never rejects. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#file.close()]);
  }
}
