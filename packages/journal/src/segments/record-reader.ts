import { JournalReadError, isErrno } from '../errors.ts';
import type { FileSystem, OpenFile } from '../files/file-system.ts';
import type { JournalRecord } from '../journal.ts';
import { FRAME_BYTES, claimedBytes, isFrameIntact, sequenceAt } from './segment-format.ts';
import { type Extent, type Segment, indexPointBefore } from './segment.ts';

interface RecordReaderDeps {
  readonly files: FileSystem;
  /** The segments with records, in order; the reader sees every change. */
  readonly segments: readonly Segment[];
  /**
   * Called when a durable record does not match its checksum. Resolves once the segment's extents exclude it,
   * or rejects to end the read.
   */
  readonly onDamage: (segment: Segment, sequence: number) => Promise<void>;
}

interface RecordReadOptions {
  readonly maxRecords: number;
  readonly maxBytes: number;
  readonly isAborted: () => boolean;
}

/** A position in a segment, with the bytes that were already read from there on. */
interface Cursor {
  readonly segment: Segment;
  readonly file: OpenFile;
  sequence: number;
  offset: number;
  window: Buffer;
  windowOffset: number;
}

interface Position {
  readonly cursor: Cursor;
  readonly extent: Extent;
}

const WINDOW_BYTES = 262_144;
/** More damaged records than this end a read. */
const MAX_DAMAGES = 1_000;

/**
 * Reads records in order. The file at which the last read ended stays open, so that a read that continues
 * there does not search again.
 */
export class RecordReader {
  readonly #deps: RecordReaderDeps;
  #idle: Cursor | undefined;
  #closed = false;

  constructor(deps: RecordReaderDeps) {
    this.#deps = deps;
  }

  async read(from: number, options: RecordReadOptions): Promise<JournalRecord[]> {
    const { maxRecords, maxBytes, isAborted } = options;
    const records: JournalRecord[] = [];
    let bytes = 0;
    let wanted = from;
    let damages = 0;
    let cursor = this.#resume(from);
    let extent = cursor && extentAt(cursor);
    try {
      while (records.length < maxRecords && !isAborted()) {
        if (cursor === undefined || extent === undefined || cursor.sequence >= extent.end) {
          const position: Position | undefined = await this.#seek(wanted, cursor);
          if (position === undefined) break;
          if (position.cursor !== cursor) await cursor?.file.close();
          ({ cursor, extent } = position);
        }
        const frameBytes = intactFrameBytes(cursor, extent) ?? (await loadFrame(cursor, extent));
        if (frameBytes === undefined) {
          damages += 1;
          await this.#excludeDamage(cursor, damages);
          extent = undefined;
          continue;
        }
        if (cursor.sequence >= wanted) {
          const size = frameBytes - FRAME_BYTES;
          if (records.length > 0 && bytes + size > maxBytes) break;
          const start = cursor.offset - cursor.windowOffset + FRAME_BYTES;
          const payload = cursor.window.subarray(start, start + size);
          records.push({ sequence: cursor.sequence, payload });
          bytes += size;
          wanted = cursor.sequence + 1;
        }
        cursor.sequence += 1;
        cursor.offset += frameBytes;
      }
    } catch (error) {
      // A disk that hangs would keep the error back.
      cursor?.file.close().catch(() => undefined);
      throw error;
    }
    await this.#keep(cursor);
    return records;
  }

  /** Closes a released segment that is kept open between reads, so that its space is freed. */
  async trim(): Promise<void> {
    if (this.#idle === undefined || this.#deps.segments.includes(this.#idle.segment)) return;
    await this.#closeIdle();
  }

  /** Closes the file that is kept open between reads; a read under way closes its own file at its end. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#closeIdle();
  }

  async #closeIdle(): Promise<void> {
    const last = this.#idle;
    this.#idle = undefined;
    await last?.file.close();
  }

  /** The kept cursor, if it is at `from`. */
  #resume(from: number): Cursor | undefined {
    const idle = this.#idle;
    if (idle?.sequence !== from) return undefined;
    this.#idle = undefined;
    return idle;
  }

  async #keep(cursor: Cursor | undefined): Promise<void> {
    if (cursor === undefined) return;
    const replaced = this.#closed ? cursor : this.#idle;
    if (!this.#closed) this.#idle = cursor;
    await replaced?.file.close();
  }

  /** Moves to the first readable record from `from` on; `undefined`, and no move, if there is none. */
  async #seek(from: number, cursor: Cursor | undefined): Promise<Position | undefined> {
    const { files, segments } = this.#deps;
    const target = locate(segments, from);
    if (target === undefined) return undefined;
    const { segment, extent } = target;
    const { sequence, offset } = indexPointBefore(extent, Math.max(from, extent.first));
    if (cursor?.segment === segment) {
      cursor.sequence = sequence;
      cursor.offset = offset;
      return { cursor, extent };
    }
    try {
      const file = await files.open(segment.path, 'read');
      const window = Buffer.alloc(0);
      return { cursor: { segment, file, sequence, offset, window, windowOffset: 0 }, extent };
    } catch (cause) {
      // The segment was released and deleted since it was found: search again.
      if (isErrno(cause, ['ENOENT']) && !segments.includes(segment))
        return this.#seek(from, cursor);
      throw new JournalReadError(segment.path, cause);
    }
  }

  async #excludeDamage(cursor: Cursor, damages: number): Promise<void> {
    const { segment, sequence } = cursor;
    if (damages > MAX_DAMAGES) throw new JournalReadError(segment.path, undefined);
    await this.#deps.onDamage(segment, sequence);
    cursor.window = Buffer.alloc(0);
  }
}

/** The length of the frame at the cursor, if the window holds all of it and its checksum matches. */
function intactFrameBytes(
  { window, windowOffset, offset, sequence, segment }: Cursor,
  extent: Extent,
): number | undefined {
  const start = offset - windowOffset;
  if (start < 0 || window.length - start < FRAME_BYTES) return undefined;
  const bytes = claimedBytes(window, start);
  if (bytes > window.length - start || offset + bytes > extent.endOffset) return undefined;
  if (sequenceAt(window, start) !== sequence) return undefined;
  return isFrameIntact(window, start, bytes, segment.salt) ? bytes : undefined;
}

/** The same after reading the frame into the window; `undefined` if the frame is damaged. */
async function loadFrame(cursor: Cursor, extent: Extent): Promise<number | undefined> {
  const remaining = extent.endOffset - cursor.offset;
  await fillWindow(cursor, Math.min(remaining, WINDOW_BYTES));
  if (cursor.window.length < FRAME_BYTES) return undefined;
  const bytes = claimedBytes(cursor.window, 0);
  if (bytes > remaining) return undefined;
  if (bytes > cursor.window.length) await fillWindow(cursor, bytes);
  return intactFrameBytes(cursor, extent);
}

/** The extent that the cursor is in. */
function extentAt({ segment, sequence }: Cursor): Extent | undefined {
  return segment.extents.find((extent) => sequence >= extent.first && sequence < extent.end);
}

/** The extent with the first readable record from `from` on. */
function locate(
  segments: readonly Segment[],
  from: number,
): { segment: Segment; extent: Extent } | undefined {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((segments[middle]?.end ?? Infinity) <= from) low = middle + 1;
    else high = middle;
  }
  for (const segment of segments.slice(low)) {
    for (const extent of segment.extents) {
      if (extent.end > from && extent.end > extent.first) return { segment, extent };
    }
  }
  return undefined;
}

/** Reads a new window from the cursor's offset on. */
async function fillWindow(cursor: Cursor, bytes: number): Promise<void> {
  const { file, segment, offset } = cursor;
  const window = Buffer.allocUnsafeSlow(bytes);
  let filled = 0;
  while (filled < bytes) {
    let got: number;
    try {
      got = await file.read(filled === 0 ? window : window.subarray(filled), offset + filled);
    } catch (cause) {
      throw new JournalReadError(segment.path, cause);
    }
    if (got === 0) break;
    filled += got;
  }
  cursor.window = window.subarray(0, filled);
  cursor.windowOffset = offset;
}
