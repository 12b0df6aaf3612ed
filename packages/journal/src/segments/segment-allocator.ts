import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type FileSystem, type OpenFile, writeAll } from '../files/file-system.ts';
import { ActiveSegment } from './active-segment.ts';
import { encodeHeader, segmentName } from './segment-format.ts';
import { emptyExtent } from './segment.ts';

interface SegmentAllocatorDeps {
  readonly files: FileSystem;
  readonly directory: string;
  /** The journal's identity, for the headers. */
  readonly id: string;
  readonly epoch: number;
  readonly segmentBytes: number;
}

const CHUNK_BYTES = 1_048_576;

/**
 * Creates segments, one ahead of the need, so that an append seldom waits for one. The next segment is filled
 * with zeros in the background: a write into bytes that the file already has does not change its size, which
 * makes its sync twice as fast. A segment that could not be prepared, usually for want of space, starts empty
 * and grows.
 */
export class SegmentAllocator {
  readonly #deps: SegmentAllocatorDeps;
  readonly #sparePath: string;
  #closed = false;
  /** Ends the preparation that is in progress. */
  #stop = new AbortController();
  #spare: Promise<OpenFile | undefined> | undefined;

  constructor(deps: SegmentAllocatorDeps) {
    this.#deps = deps;
    this.#sparePath = join(deps.directory, `spare.${deps.epoch}`);
    this.#spare = this.#prepare();
  }

  /** The segment for records from `first` on; its header and its name are durable when this resolves. */
  async allocate(first: number): Promise<ActiveSegment> {
    const { files, directory, id, epoch } = this.#deps;
    const spare = await this.#spare;
    this.#spare = undefined;
    const file = spare ?? (await files.open(this.#sparePath, 'create'));
    const salt = randomBytes(4).readUInt32LE(0);
    const name = segmentName(first);
    const path = join(directory, name);
    try {
      await writeAll(file, encodeHeader({ salt, id, first, epoch }), 0);
      await file.sync();
      await files.rename(this.#sparePath, path);
      await files.syncDirectory(directory);
    } catch (error) {
      await this.#discard(file);
      throw error;
    }
    if (!this.#closed) this.#spare = this.#prepare();
    const extents = [emptyExtent(first)];
    return new ActiveSegment({ name, path, first, salt, end: first, extents }, file);
  }

  /** Gives the space of the prepared segment back to the disk; `false` if there was none. */
  async releaseSpare(): Promise<boolean> {
    const preparing = this.#spare;
    if (preparing === undefined) return false;
    this.#stop.abort();
    this.#spare = undefined;
    const spare = await preparing;
    if (spare !== undefined) await this.#discard(spare);
    if (!this.#closed) this.#stop = new AbortController();
    return true;
  }

  /** Stops preparing, and removes the prepared segment. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.releaseSpare();
  }

  async #prepare(): Promise<OpenFile | undefined> {
    const { files, segmentBytes } = this.#deps;
    let file: OpenFile | undefined;
    try {
      file = await files.open(this.#sparePath, 'create');
      const zeros = Buffer.alloc(Math.min(CHUNK_BYTES, segmentBytes));
      for (
        let offset = 0;
        offset < segmentBytes && !this.#stop.signal.aborted;
        offset += zeros.length
      ) {
        await writeAll(file, zeros.subarray(0, segmentBytes - offset), offset);
        // In small portions: one large sync would delay the appends that run at the same time.
        await file.sync();
      }
      return file;
    } catch {
      await this.#discard(file);
      return undefined;
    }
  }

  async #discard(file: OpenFile | undefined): Promise<void> {
    await Promise.allSettled([file?.close(), this.#deps.files.remove(this.#sparePath)]);
  }
}

/** The epoch of the owner that a spare segment belongs to; `undefined` for any other file. */
export function epochOfSpare(name: string): number | undefined {
  const digits = /^spare\.(\d+)$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
