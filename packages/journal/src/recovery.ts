import { join } from 'node:path';
import { JournalCorruptError } from './errors.ts';
import type { FileSystem, OpenFile } from './files/file-system.ts';
import { type Gap, type ScanResult, scan } from './segments/scan.ts';
import {
  FRAME_BYTES,
  HEADER_BYTES,
  type SegmentHeader,
  decodeHeader,
  firstOfName,
  segmentName,
} from './segments/segment-format.ts';
import type { Segment } from './segments/segment.ts';

/** The content of a directory, read without changing it. */
export interface RecoveryResult {
  /** Segments with unreleased records, in order. */
  readonly segments: Segment[];
  /** Segments without. */
  readonly done: Segment[];
  /** The journal's identity, by the checkpoint or the segments. */
  readonly id: string | undefined;
  readonly released: number;
  readonly next: number;
  readonly damages: readonly JournalCorruptError[];
  /** Paths of the damaged files that exist. */
  readonly damagedPaths: readonly string[];
  /** An unfinished write at the end of the newest segment. */
  readonly unfinished: UnfinishedWrite | undefined;
  /** The newest segment, and where its last record ends; a damaged one must not be cut there. */
  readonly newest: { path: string; cutAt?: number } | undefined;
}

interface UnfinishedWrite {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
  readonly firstSequence: number;
}

interface Known {
  readonly id: string;
  readonly released: number;
  readonly next: number;
}

/**
 * Reads the segments. An older segment must hold every sequence up to the first one of the next segment; what
 * follows in it belongs to a failed write that was repeated in the next segment. In the newest segment, bytes
 * after the last intact record are an unfinished write.
 * @param pointEvery the distance of search points, in bytes
 */
export async function recoverSegments(
  files: FileSystem,
  directory: string,
  checkpoint: Known | undefined,
  pointEvery: number,
): Promise<RecoveryResult> {
  const firsts = (await files.list(directory))
    .map(firstOfName)
    .filter((first) => first !== undefined)
    .toSorted((left, right) => left - right);
  const recovery = new Recovery(files, directory, checkpoint, pointEvery);
  return recovery.run(firsts);
}

class Recovery {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #checkpoint: Known | undefined;
  readonly #pointEvery: number;
  readonly #segments: Segment[] = [];
  readonly #done: Segment[] = [];
  readonly #damages: JournalCorruptError[] = [];
  readonly #damagedPaths: string[] = [];
  #id: string | undefined;
  #released = 0;
  #next = 1;
  #unfinished: UnfinishedWrite | undefined;
  #newest: RecoveryResult['newest'];

  constructor(
    files: FileSystem,
    directory: string,
    checkpoint: Known | undefined,
    pointEvery: number,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#checkpoint = checkpoint;
    this.#pointEvery = pointEvery;
    this.#id = checkpoint?.id;
  }

  /** @param firsts the first sequences of the segments, in order. */
  async run(firsts: readonly number[]): Promise<RecoveryResult> {
    const [oldest] = firsts;
    this.#released = this.#checkpoint?.released ?? (oldest ?? 1) - 1;
    this.#next = this.#released + 1;
    if (oldest !== undefined && oldest > this.#next) {
      const gap = lost(this.#next, oldest - 1);
      this.#report(this.#pathOf(this.#next), gap, 'the file is missing');
    }
    for (const [index, first] of firsts.entries()) {
      const end = firsts[index + 1];
      if (end !== undefined && end - 1 <= this.#released) {
        this.#done.push(this.#segment(first, { salt: 0, end, extents: [] }));
      } else {
        await this.#readSegment(first, end);
      }
    }
    if (this.#checkpoint !== undefined && this.#next < this.#checkpoint.next) {
      this.#reportMissingEnd(this.#checkpoint.next, firsts.at(-1));
    }
    return {
      segments: this.#segments,
      done: this.#done,
      id: this.#id,
      released: Math.min(this.#released, this.#next - 1),
      next: this.#next,
      damages: this.#damages,
      damagedPaths: this.#damagedPaths,
      unfinished: this.#unfinished,
      newest: this.#newest,
    };
  }

  #pathOf(first: number): string {
    return join(this.#directory, segmentName(first));
  }

  #segment(first: number, content: Pick<Segment, 'salt' | 'end' | 'extents'>): Segment {
    return { name: segmentName(first), path: this.#pathOf(first), first, ...content };
  }

  /** Reports the part of a gap that is not released; `false` if all of it is. */
  #report(path: string, gap: Gap, seen: string): boolean {
    if (gap.lastSequence <= this.#released) return false;
    const firstSequence = Math.max(gap.firstSequence, this.#released + 1);
    this.#damages.push(new JournalCorruptError({ ...gap, file: path, firstSequence, seen }));
    return true;
  }

  /** @param end the first sequence of the next segment; `undefined` for the newest one. */
  async #readSegment(first: number, end: number | undefined): Promise<void> {
    const path = this.#pathOf(first);
    const file = await this.#files.open(path, 'read');
    try {
      const bytes = (await this.#files.status(path))?.bytes ?? 0;
      const header = await readHeader(file);
      const isOurs = header?.first === first && (this.#id ?? header.id) === header.id;
      if (header === undefined || !isOurs) {
        this.#addUnreadable(first, end, bytes);
        return;
      }
      this.#id = header.id;
      const { salt } = header;
      const range = { first, offset: HEADER_BYTES, endOffset: bytes };
      const limit = end === undefined ? {} : { end };
      const request = { salt, ...range, ...limit, pointEvery: this.#pointEvery };
      this.#addSegment(first, salt, await scan(file, request), end === undefined);
    } finally {
      await file.close();
    }
  }

  /** Without the salt no record can be verified, and their number is not known. */
  #addUnreadable(first: number, end: number | undefined, bytes: number): void {
    const path = this.#pathOf(first);
    const most = Math.max(1, Math.floor((bytes - HEADER_BYTES) / FRAME_BYTES));
    this.#next = end ?? Math.max(first + most, this.#checkpoint?.next ?? 0);
    const gap = lost(first, this.#next - 1);
    if (this.#report(path, gap, 'its header is unreadable or another journal’s')) {
      this.#damagedPaths.push(path);
    }
    this.#segments.push(this.#segment(first, { salt: 0, end: this.#next, extents: [] }));
  }

  #addSegment(first: number, salt: number, found: ScanResult, isNewest: boolean): void {
    const path = this.#pathOf(first);
    const reported = found.gaps.map((gap) => this.#report(path, gap, 'checksums do not match'));
    if (reported.includes(true)) this.#damagedPaths.push(path);
    this.#next = found.end;
    const segment = this.#segment(first, { salt, end: found.end, extents: found.extents });
    // An empty segment is in neither list: the next one takes its name, and must not be deleted for it.
    if (this.#next > first) {
      (this.#next > this.#released + 1 ? this.#segments : this.#done).push(segment);
    }
    if (!isNewest) return;
    const { endOffset: offset, unfinishedBytes: bytes } = found;
    if (bytes > 0) this.#unfinished = { path, offset, bytes, firstSequence: this.#next };
    this.#newest = this.#damagedPaths.includes(path) ? { path } : { path, cutAt: offset };
  }

  /** The checkpoint proves that records existed which no segment has. */
  #reportMissingEnd(next: number, last: number | undefined): void {
    const path = this.#pathOf(last ?? this.#next);
    const gap = lost(this.#next, next - 1, this.#newest?.cutAt);
    if (this.#report(path, gap, 'it ends too soon') && last !== undefined) {
      this.#damagedPaths.push(path);
    }
    this.#next = next;
    const short = this.#segments.at(-1);
    if (short !== undefined) short.end = next;
    if (this.#unfinished !== undefined)
      this.#unfinished = { ...this.#unfinished, firstSequence: next };
    if (this.#newest !== undefined) this.#newest = { path: this.#newest.path };
  }
}

function lost(firstSequence: number, lastSequence: number, offset = 0): Gap {
  return { offset, firstSequence, lastSequence, acknowledged: true };
}

async function readHeader(file: OpenFile): Promise<SegmentHeader | undefined> {
  const block = Buffer.alloc(HEADER_BYTES);
  const bytes = await file.read(block, 0);
  return decodeHeader(block.subarray(0, bytes));
}
