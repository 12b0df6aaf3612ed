import { errnoOf } from '../errors.ts';
import type { OpenFile } from '../files/file-system.ts';
import {
  FRAME_BYTES,
  claimedBytes,
  isFrameWhole,
  batchIndexAt,
  sequenceAt,
} from './segment-format.ts';
import { type Extent, extend } from './segment.ts';

/** What is asked of a scan: which records must stand where. */
export interface ScanRequest {
  readonly salt: number;
  /** The sequence and the offset to begin at. */
  readonly first: number;
  readonly offset: number;
  /** Size of the file, or how far it may be read. */
  readonly endOffset: number;
  /** The sequence after the last that must be here; without it, the end is wherever the records end. */
  readonly end?: number;
  readonly pointEvery: number;
}

/** Sequences that must have been here and are not. */
export interface Gap {
  readonly offset: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly acknowledged: boolean;
}

export interface Scan {
  readonly extents: Extent[];
  readonly gaps: readonly Gap[];
  /** The sequence after the last one found, or `end` when that was given. */
  readonly end: number;
  /** Where the last record found ends. */
  readonly endOffset: number;
  /** Bytes after it that are neither records nor zeros. */
  readonly tornBytes: number;
}

const WINDOW_BYTES = 262_144;
const SECTOR_BYTES = 4_096;
const zeros = Buffer.alloc(WINDOW_BYTES);

/**
 * Reads a segment from record to record. Where one is damaged, it searches on for the next whole one with a
 * plausible sequence; what lies between is a gap.
 */
export async function scan(file: OpenFile, request: ScanRequest): Promise<Scan> {
  const { salt, endOffset: limit, pointEvery } = request;
  const stopAt = request.end ?? Infinity;
  const extents: Extent[] = [];
  const gaps: Omit<Gap, 'acknowledged'>[] = [];
  let extent: Extent | undefined;
  let expected = request.first;
  let position = request.offset;
  let lastBatchStart = 0;
  let tornBytes = 0;
  let window = await load(file, position, Math.min(WINDOW_BYTES, limit - position));
  let windowAt = position;

  while (expected < stopAt) {
    const at = position - windowAt;
    const remaining = limit - position;
    const bytes = at + FRAME_BYTES <= window.length ? claimedBytes(window, at) : FRAME_BYTES;
    if (at + bytes > window.length && bytes <= remaining) {
      window = await load(file, position, Math.min(Math.max(WINDOW_BYTES, bytes), remaining));
      windowAt = position;
      if (bytes <= window.length) continue;
    }
    if (
      at + bytes <= window.length &&
      sequenceAt(window, at) === expected &&
      isFrameWhole(window, at, bytes, salt)
    ) {
      if (extent === undefined) {
        extent = {
          first: expected,
          end: expected,
          offset: position,
          endOffset: position,
          points: [],
        };
        extents.push(extent);
      }
      extend(extent, 1, bytes, pointEvery);
      lastBatchStart = expected - batchIndexAt(window, at);
      expected += 1;
      position += bytes;
      continue;
    }
    const search = await findNext(file, { salt, expected, from: position, limit, stopAt });
    if (search.found === undefined) {
      tornBytes = Math.max(0, search.lastUsedEnd - position);
      break;
    }
    const { sequence, offset } = search.found;
    if (sequence > expected) {
      gaps.push({ offset: position, firstSequence: expected, lastSequence: sequence - 1 });
    }
    extent = undefined;
    expected = sequence;
    position = offset;
  }

  if (request.end !== undefined && expected < request.end) {
    gaps.push({ offset: position, firstSequence: expected, lastSequence: request.end - 1 });
  }
  return {
    extents,
    gaps: gaps.map(({ offset, firstSequence, lastSequence }) => ({
      offset,
      firstSequence,
      lastSequence,
      acknowledged: request.end !== undefined || lastBatchStart > firstSequence,
    })),
    end: request.end ?? expected,
    endOffset: extent?.endOffset ?? position,
    tornBytes,
  };
}

interface Search {
  readonly salt: number;
  readonly expected: number;
  readonly from: number;
  readonly limit: number;
  readonly stopAt: number;
}

/**
 * The next whole frame after a damaged place. A sequence is plausible if the bytes passed over could hold
 * the frames it leaves out.
 */
async function findNext(
  file: OpenFile,
  search: Search,
): Promise<{ found?: { sequence: number; offset: number }; lastUsedEnd: number }> {
  const { salt, expected, from, limit, stopAt } = search;
  let lastUsedEnd = from;
  let windowAt = from;
  while (windowAt < limit) {
    const window = await load(file, windowAt, Math.min(WINDOW_BYTES, limit - windowAt));
    if (window.length === 0) break;
    const used = usedBytes(window);
    if (used > 0) lastUsedEnd = windowAt + used;
    const candidates = Math.min(used, window.length - FRAME_BYTES + 1);
    for (let at = 0; at < candidates; at += 1) {
      const offset = windowAt + at;
      const bytes = claimedBytes(window, at);
      if (offset === from || bytes > limit - offset) continue;
      const sequence = sequenceAt(window, at);
      const highest = Math.min(stopAt - 1, expected + (offset - from) / FRAME_BYTES);
      if (sequence < expected || sequence > highest) continue;
      const whole =
        at + bytes <= window.length
          ? isFrameWhole(window, at, bytes, salt)
          : await isWholeBeyond(file, offset, bytes, salt);
      if (whole) return { found: { sequence, offset }, lastUsedEnd };
    }
    windowAt += Math.max(1, window.length - FRAME_BYTES + 1);
    if (window.length < FRAME_BYTES) break;
  }
  return { lastUsedEnd };
}

async function isWholeBeyond(
  file: OpenFile,
  offset: number,
  bytes: number,
  salt: number,
): Promise<boolean> {
  const frame = await load(file, offset, bytes);
  return frame.length === bytes && isFrameWhole(frame, 0, bytes, salt);
}

/** How far into the window anything but zeros stands. */
function usedBytes(window: Buffer): number {
  if (window.equals(zeros.subarray(0, window.length))) return 0;
  let used = window.length;
  while (used > 0 && window[used - 1] === 0) used -= 1;
  return used;
}

/**
 * Up to `bytes` from `position`, fewer only at the end of the file. Sectors the disk does not give are read
 * as zeros, so that their records, and only theirs, are found damaged.
 */
async function load(file: OpenFile, position: number, bytes: number): Promise<Buffer> {
  const window = Buffer.allocUnsafeSlow(Math.max(0, bytes));
  let filled = 0;
  while (filled < window.length) {
    const got = await readTolerantly(file, window.subarray(filled), position + filled);
    if (got === 0) break;
    filled += got;
  }
  return window.subarray(0, filled);
}

async function readTolerantly(file: OpenFile, into: Buffer, position: number): Promise<number> {
  try {
    return await file.read(into, position);
  } catch (error) {
    if (errnoOf(error) !== 'EIO') throw error;
    if (into.length > SECTOR_BYTES) {
      return readTolerantly(file, into.subarray(0, SECTOR_BYTES), position);
    }
    into.fill(0);
    return into.length;
  }
}
