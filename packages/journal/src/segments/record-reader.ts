import { JournalReadError, isErrno } from '../errors.ts';
import type { FileSystem, OpenFile } from '../files/file-system.ts';
import type { JournalRecord } from '../journal.ts';
import { FRAME_BYTES, claimedBytes, isFrameWhole, sequenceAt } from './segment-format.ts';
import { type Extent, type Segment, indexPointBefore } from './segment.ts';

export interface RecordReader {
  read(
    from: number,
    limits: { maxRecords: number; maxBytes: number },
    stopped: () => boolean,
  ): Promise<JournalRecord[]>;
  /** Closes a released segment that is kept open between reads, so that its space is freed. */
  trim(): Promise<void>;
  /** Closes what is kept open between reads; reads under way close theirs as they end. */
  close(): Promise<void>;
}

/** A place in a segment, with what was already read from there on. */
interface Cursor {
  readonly segment: Segment;
  readonly file: OpenFile;
  sequence: number;
  offset: number;
  window: Buffer;
  windowAt: number;
}

interface Placed {
  readonly cursor: Cursor;
  readonly extent: Extent;
}

const WINDOW_BYTES = 262_144;
/** Damaged places passed over in one read; more of them end it. */
const MAX_DAMAGES = 1_000;

/**
 * Reads records in order. The place where the last read ended stays open, so that a reader who goes on
 * there never looks for it again.
 * @param options.segments the segments with records, in order; seen live.
 * @param options.onDamage called when a durable record does not match its checksum; resolves once the
 * segment's extents leave it out, or rejects to end the read.
 */
export function createReader(options: {
  files: FileSystem;
  segments: readonly Segment[];
  onDamage: (segment: Segment, sequence: number) => Promise<void>;
}): RecordReader {
  const { files, segments, onDamage } = options;
  let idle: Cursor | undefined;
  let closed = false;

  /** Moves to the first readable record from `from` on; stays where it is if there is none. */
  const place = async (from: number, cursor: Cursor | undefined): Promise<Placed | undefined> => {
    const target = locate(segments, from);
    if (target === undefined) return undefined;
    const { segment, extent } = target;
    const near = indexPointBefore(extent, Math.max(from, extent.first));
    if (cursor?.segment === segment) {
      cursor.sequence = near.sequence;
      cursor.offset = near.offset;
      return { cursor, extent };
    }
    try {
      const file = await files.open(segment.path, 'read');
      const window = Buffer.alloc(0);
      const { sequence, offset } = near;
      return { cursor: { segment, file, sequence, offset, window, windowAt: 0 }, extent };
    } catch (cause) {
      // Released, and deleted, since it was found: what comes next stands in another one.
      if (isErrno(cause, ['ENOENT']) && !segments.includes(segment)) return place(from, cursor);
      throw new JournalReadError(segment.path, cause);
    }
  };

  const keep = async (cursor: Cursor | undefined): Promise<void> => {
    if (cursor === undefined) return;
    const replaced = closed ? cursor : idle;
    if (!closed) idle = cursor;
    await replaced?.file.close();
  };

  return {
    async read(from, { maxRecords, maxBytes }, stopped) {
      const records: JournalRecord[] = [];
      let bytes = 0;
      let wanted = from;
      let extent: Extent | undefined;
      let cursor: Cursor | undefined;
      let damages = 0;
      if (idle?.sequence === from) {
        cursor = idle;
        idle = undefined;
        extent = extentAt(cursor);
      }
      try {
        while (records.length < maxRecords && !stopped()) {
          if (cursor === undefined || extent === undefined || cursor.sequence >= extent.end) {
            const placed: Placed | undefined = await place(wanted, cursor);
            if (placed === undefined) break;
            if (placed.cursor !== cursor) await cursor?.file.close();
            ({ cursor, extent } = placed);
          }
          const frame = holdsFrame(cursor, extent) ?? (await loadFrame(cursor, extent));
          if (frame === undefined) {
            const { segment, sequence } = cursor;
            damages += 1;
            if (damages > MAX_DAMAGES) throw new JournalReadError(segment.path, undefined);
            await onDamage(segment, sequence);
            cursor.window = Buffer.alloc(0);
            extent = undefined;
            continue;
          }
          if (cursor.sequence >= wanted) {
            const size = frame - FRAME_BYTES;
            if (records.length > 0 && bytes + size > maxBytes) break;
            const at = cursor.offset - cursor.windowAt + FRAME_BYTES;
            const payload = cursor.window.subarray(at, at + size);
            records.push({ sequence: cursor.sequence, payload });
            bytes += size;
            wanted = cursor.sequence + 1;
          }
          cursor.sequence += 1;
          cursor.offset += frame;
        }
      } catch (error) {
        await cursor?.file.close();
        throw error;
      }
      await keep(cursor);
      return records;
    },
    async trim() {
      if (idle === undefined || segments.includes(idle.segment)) return;
      const { file } = idle;
      idle = undefined;
      await file.close();
    },
    async close() {
      closed = true;
      const last = idle;
      idle = undefined;
      await last?.file.close();
    },
  };
}

/** The length of the frame at the cursor, if the window holds it and it is whole. */
function holdsFrame(
  { window, windowAt, offset, sequence, segment }: Cursor,
  extent: Extent,
): number | undefined {
  const at = offset - windowAt;
  if (at < 0 || window.length - at < FRAME_BYTES) return undefined;
  const bytes = claimedBytes(window, at);
  if (bytes > window.length - at || offset + bytes > extent.endOffset) return undefined;
  if (sequenceAt(window, at) !== sequence) return undefined;
  return isFrameWhole(window, at, bytes, segment.salt) ? bytes : undefined;
}

/** The same, after bringing it into the window; nothing if it is damaged. */
async function loadFrame(cursor: Cursor, extent: Extent): Promise<number | undefined> {
  const remaining = extent.endOffset - cursor.offset;
  await fill(cursor, Math.min(remaining, WINDOW_BYTES));
  if (cursor.window.length < FRAME_BYTES) return undefined;
  const bytes = claimedBytes(cursor.window, 0);
  if (bytes > remaining) return undefined;
  if (bytes > cursor.window.length) await fill(cursor, bytes);
  return holdsFrame(cursor, extent);
}

/** The extent the cursor stands in. */
function extentAt({ segment, sequence }: Cursor): Extent | undefined {
  return segment.extents.find((extent) => sequence >= extent.first && sequence < extent.end);
}

/** The extent that holds the first readable record from `from` on. */
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

/** Reads a new window from the cursor's place on. */
async function fill(cursor: Cursor, bytes: number): Promise<void> {
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
  cursor.windowAt = offset;
}
