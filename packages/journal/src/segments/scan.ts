import { errnoOf } from '../errors.ts';
import type { OpenFile } from '../files/file-system.ts';
import {
  FRAME_BYTES,
  batchIndexAt,
  claimedBytes,
  isFrameIntact,
  sequenceAt,
} from './segment-format.ts';
import { type Extent, extend } from './segment.ts';

/** Which part of a segment to scan, and which records it has to hold. */
interface ScanRequest {
  readonly salt: number;
  /** The sequence and the offset to begin at. */
  readonly first: number;
  readonly offset: number;
  /** The size of the file, or the offset to stop at. */
  readonly endOffset: number;
  /** The sequence after the last one that must be here; left out, the scan ends where the records end. */
  readonly end?: number;
  /** The distance of search points, in bytes. */
  readonly pointEvery: number;
}

/** Sequences that must have been here and cannot be read. */
export interface Gap {
  readonly offset: number;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Whether the records had been acknowledged for certain. */
  readonly acknowledged: boolean;
}

export interface ScanResult {
  readonly extents: Extent[];
  readonly gaps: readonly Gap[];
  /** The sequence after the last one found, or `end` when that was given. */
  readonly end: number;
  /** Where the last record found ends. */
  readonly endOffset: number;
  /** Bytes after it that are neither records nor zeros. */
  readonly unfinishedBytes: number;
}

const WINDOW_BYTES = 262_144;
const SECTOR_BYTES = 4_096;
const zeros = Buffer.alloc(WINDOW_BYTES);

/**
 * Reads a segment record by record. After a damaged record it searches for the next intact one with a
 * plausible sequence; the sequences between them are a gap.
 */
export function scan(file: OpenFile, request: ScanRequest): Promise<ScanResult> {
  return new Scanner(file, request).run();
}

class Scanner {
  readonly #file: OpenFile;
  readonly #request: ScanRequest;
  readonly #extents: Extent[] = [];
  readonly #gaps: Omit<Gap, 'acknowledged'>[] = [];
  #extent: Extent | undefined;
  #expected: number;
  #offset: number;
  /** The first sequence of the last batch: everything before it had been durable when that was written. */
  #lastBatchStart = 0;
  #window: Buffer = Buffer.alloc(0);
  #windowOffset: number;

  constructor(file: OpenFile, request: ScanRequest) {
    this.#file = file;
    this.#request = request;
    this.#expected = request.first;
    this.#offset = request.offset;
    this.#windowOffset = request.offset;
  }

  async run(): Promise<ScanResult> {
    const { end, endOffset } = this.#request;
    const stopAt = end ?? Infinity;
    let unfinishedBytes = 0;
    while (this.#expected < stopAt) {
      const bytes = this.#claimedBytes();
      const windowEnd = this.#windowOffset + this.#window.length;
      if (this.#offset + bytes > windowEnd && this.#offset + bytes <= endOffset) {
        await this.#loadWindow(bytes);
        if (bytes <= this.#window.length) continue;
      }
      if (this.#isExpectedFrame(bytes)) {
        this.#addRecord(bytes);
        continue;
      }
      const { found, lastUsedEnd } = await this.#findNext(stopAt);
      if (found === undefined) {
        unfinishedBytes = Math.max(0, lastUsedEnd - this.#offset);
        break;
      }
      if (found.sequence > this.#expected) this.#addGap(found.sequence - 1);
      this.#extent = undefined;
      this.#expected = found.sequence;
      this.#offset = found.offset;
    }
    if (end !== undefined && this.#expected < end) this.#addGap(end - 1);
    return {
      extents: this.#extents,
      gaps: this.#gaps.map((gap) => {
        const acknowledged = end !== undefined || this.#lastBatchStart > gap.firstSequence;
        return { ...gap, acknowledged };
      }),
      end: end ?? this.#expected,
      endOffset: this.#extent?.endOffset ?? this.#offset,
      unfinishedBytes,
    };
  }

  /** The length that the frame at the offset claims; the shortest one if its head is not in the window. */
  #claimedBytes(): number {
    const start = this.#offset - this.#windowOffset;
    const hasHead = start + FRAME_BYTES <= this.#window.length;
    return hasHead ? claimedBytes(this.#window, start) : FRAME_BYTES;
  }

  async #loadWindow(bytes: number): Promise<void> {
    const remaining = this.#request.endOffset - this.#offset;
    const wanted = Math.min(Math.max(WINDOW_BYTES, bytes), remaining);
    this.#window = await load(this.#file, this.#offset, wanted);
    this.#windowOffset = this.#offset;
  }

  #isExpectedFrame(bytes: number): boolean {
    const start = this.#offset - this.#windowOffset;
    return (
      start + bytes <= this.#window.length &&
      sequenceAt(this.#window, start) === this.#expected &&
      isFrameIntact(this.#window, start, bytes, this.#request.salt)
    );
  }

  #addRecord(bytes: number): void {
    const sequence = this.#expected;
    if (this.#extent === undefined) {
      const offset = this.#offset;
      this.#extent = { first: sequence, end: sequence, offset, endOffset: offset, points: [] };
      this.#extents.push(this.#extent);
    }
    extend(this.#extent, 1, bytes, this.#request.pointEvery);
    this.#lastBatchStart = sequence - batchIndexAt(this.#window, this.#offset - this.#windowOffset);
    this.#expected += 1;
    this.#offset += bytes;
  }

  #addGap(lastSequence: number): void {
    this.#gaps.push({ offset: this.#offset, firstSequence: this.#expected, lastSequence });
  }

  /**
   * The next intact frame after a damaged one. A sequence is plausible if the skipped bytes could hold the
   * frames of the sequences between.
   */
  async #findNext(
    stopAt: number,
  ): Promise<{ found?: { sequence: number; offset: number }; lastUsedEnd: number }> {
    const { salt, endOffset: limit } = this.#request;
    const from = this.#offset;
    let lastUsedEnd = from;
    let windowOffset = from;
    while (windowOffset < limit) {
      const window = await load(
        this.#file,
        windowOffset,
        Math.min(WINDOW_BYTES, limit - windowOffset),
      );
      if (window.length === 0) break;
      const used = usedBytes(window);
      if (used > 0) lastUsedEnd = windowOffset + used;
      const candidates = Math.min(used, window.length - FRAME_BYTES + 1);
      for (let start = 0; start < candidates; start += 1) {
        const offset = windowOffset + start;
        const bytes = claimedBytes(window, start);
        if (offset === from || bytes > limit - offset) continue;
        const sequence = sequenceAt(window, start);
        const highest = Math.min(stopAt - 1, this.#expected + (offset - from) / FRAME_BYTES);
        if (sequence < this.#expected || sequence > highest) continue;
        const intact =
          start + bytes <= window.length
            ? isFrameIntact(window, start, bytes, salt)
            : await isIntactOnDisk(this.#file, offset, bytes, salt);
        if (intact) return { found: { sequence, offset }, lastUsedEnd };
      }
      windowOffset += Math.max(1, window.length - FRAME_BYTES + 1);
      if (window.length < FRAME_BYTES) break;
    }
    return { lastUsedEnd };
  }
}

async function isIntactOnDisk(
  file: OpenFile,
  offset: number,
  bytes: number,
  salt: number,
): Promise<boolean> {
  const frame = await load(file, offset, bytes);
  return frame.length === bytes && isFrameIntact(frame, 0, bytes, salt);
}

/** The length of the window without the zeros at its end. */
function usedBytes(window: Buffer): number {
  if (window.equals(zeros.subarray(0, window.length))) return 0;
  let used = window.length;
  while (used > 0 && window[used - 1] === 0) used -= 1;
  return used;
}

/**
 * Up to `bytes` from `position`, fewer only at the end of the file. Sectors that the disk cannot read become
 * zeros, so that their records, and no others, are found damaged.
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
