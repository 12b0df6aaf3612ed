import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type FileSystem, type OpenFile, writeAll } from '../files/file-system.ts';
import { encodeHeader, segmentName } from './segment-format.ts';
import { type Segment, emptyExtent } from './segment.ts';

/** A segment that records are written to. */
export interface ActiveSegment {
  readonly segment: Segment;
  readonly file: OpenFile;
}

/** Makes segments, one ahead of the need, so that an append seldom waits for one. */
export interface SegmentAllocator {
  /** The segment for records from `first` on; durable, header and name, when it resolves. */
  allocate(first: number): Promise<ActiveSegment>;
  /** Gives the space of what was prepared back to the disk; false if there was nothing. */
  releaseSpare(): Promise<boolean>;
  /** Stops preparing and removes what was prepared. */
  close(): Promise<void>;
}

const CHUNK_BYTES = 1_048_576;

/**
 * Fills the next segment with zeros in the background: a write into bytes the file already has needs no
 * change of its size, which makes its sync twice as fast. A segment that could not be prepared, for want of
 * space above all, is made empty and grows.
 */
export function createSegmentAllocator(options: {
  files: FileSystem;
  directory: string;
  id: string;
  epoch: number;
  segmentBytes: number;
}): SegmentAllocator {
  const { files, directory, id, epoch, segmentBytes } = options;
  const sparePath = join(directory, spareName(epoch));
  const progress = { closed: false, wanted: true };
  let prepared: Promise<OpenFile | undefined> | undefined = prepare();

  async function prepare(): Promise<OpenFile | undefined> {
    let file: OpenFile | undefined;
    try {
      file = await files.open(sparePath, 'create');
      const zeros = Buffer.alloc(Math.min(CHUNK_BYTES, segmentBytes));
      for (let at = 0; at < segmentBytes && progress.wanted; at += zeros.length) {
        await writeAll(file, zeros.subarray(0, segmentBytes - at), at);
        // Small portions: a sync of one large one would hold up the appends going on beside it.
        await file.sync();
      }
      return file;
    } catch {
      await discard(file);
      return undefined;
    }
  }

  async function releaseSpare(): Promise<boolean> {
    const preparing = prepared;
    if (preparing === undefined) return false;
    progress.wanted = false;
    prepared = undefined;
    const spare = await preparing;
    if (spare !== undefined) await discard(spare);
    progress.wanted = !progress.closed;
    return true;
  }

  async function discard(file: OpenFile | undefined): Promise<void> {
    await Promise.allSettled([file?.close(), files.remove(sparePath)]);
  }

  return {
    async allocate(first) {
      const spare = await prepared;
      prepared = undefined;
      const file = spare ?? (await files.open(sparePath, 'create'));
      const salt = randomBytes(4).readUInt32LE(0);
      const name = segmentName(first);
      const path = join(directory, name);
      try {
        await writeAll(file, encodeHeader({ salt, id, first, epoch }), 0);
        await file.sync();
        await files.rename(sparePath, path);
        await files.syncDirectory(directory);
      } catch (error) {
        await discard(file);
        throw error;
      }
      if (!progress.closed) prepared = prepare();
      const segment = { name, path, first, salt, end: first, extents: [emptyExtent(first)] };
      return { segment, file };
    },
    releaseSpare,
    async close() {
      progress.closed = true;
      await releaseSpare();
    },
  };
}

/** What a segment not yet in use is called; the owner's epoch keeps it apart from any other's. */
export function spareName(epoch: number): string {
  return `spare.${epoch}`;
}

/** The epoch of the owner that a spare belongs to, or nothing for any other file. */
export function epochOfSpare(name: string): number | undefined {
  const digits = /^spare\.(\d+)$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
