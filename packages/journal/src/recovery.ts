import { join } from 'node:path';
import { JournalCorruptError } from './errors.ts';
import type { FileSystem, OpenFile } from './files/file-system.ts';
import {
  FRAME_BYTES,
  HEADER_BYTES,
  type SegmentHeader,
  decodeHeader,
  firstOfName,
  segmentName,
} from './segments/segment-format.ts';
import { type Gap, scan } from './segments/scan.ts';
import type { Segment } from './segments/segment.ts';

/** What stands in a directory, found without changing it. */
export interface RecoveryResult {
  /** Segments with records not yet released, in order. */
  readonly segments: Segment[];
  /** Segments with none. */
  readonly done: Segment[];
  /** The journal's identity as the segments tell it. */
  readonly id: string | undefined;
  readonly released: number;
  readonly next: number;
  readonly damages: readonly JournalCorruptError[];
  /** Paths of damaged files that are there. */
  readonly damagedPaths: readonly string[];
  /** An unfinished write at the end of the newest segment. */
  readonly unfinished?: { path: string; offset: number; bytes: number; firstSequence: number };
  /** The newest segment, and where it may be cut: behind its last record. A damaged one is left as it is. */
  readonly newest?: { path: string; cutAt?: number };
}

interface Known {
  readonly id: string;
  readonly released: number;
  readonly next: number;
}

/**
 * Reads the segments. An older one must hold every sequence up to the next one's first; whatever stands in
 * it beyond that was condemned and written anew. In the newest, what no whole record follows is an
 * unfinished write.
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
  const released = checkpoint?.released ?? (firsts[0] ?? 1) - 1;
  const segments: Segment[] = [];
  const done: Segment[] = [];
  const damages: JournalCorruptError[] = [];
  const damagedPaths: string[] = [];
  let id = checkpoint?.id;
  let next = released + 1;
  let unfinished: RecoveryResult['unfinished'];
  let newest: RecoveryResult['newest'];

  const report = (path: string, gap: Gap, seen: string): boolean => {
    if (gap.lastSequence <= released) return false;
    const firstSequence = Math.max(gap.firstSequence, released + 1);
    damages.push(new JournalCorruptError({ ...gap, file: path, firstSequence, seen }));
    return true;
  };

  if (firsts[0] !== undefined && firsts[0] > next) {
    const path = join(directory, segmentName(next));
    const lost = {
      offset: 0,
      firstSequence: next,
      lastSequence: firsts[0] - 1,
      acknowledged: true,
    };
    report(path, lost, 'the file is missing');
  }

  for (const [place, first] of firsts.entries()) {
    const end = firsts[place + 1];
    const name = segmentName(first);
    const path = join(directory, name);
    if (end !== undefined && end - 1 <= released) {
      done.push({ name, path, first, salt: 0, end, extents: [] });
      continue;
    }
    const file = await files.open(path, 'read');
    try {
      const bytes = (await files.status(path))?.bytes ?? 0;
      const header = await readHeader(file);
      if (header === undefined || header.first !== first || (id ?? header.id) !== header.id) {
        // The salt is gone: not one record can be verified, and how many there were is not known.
        const most = Math.max(1, Math.floor((bytes - HEADER_BYTES) / FRAME_BYTES));
        next = end ?? Math.max(first + most, checkpoint?.next ?? 0);
        const lost = {
          offset: 0,
          firstSequence: first,
          lastSequence: next - 1,
          acknowledged: true,
        };
        if (report(path, lost, 'its header is unreadable or another journal’s'))
          damagedPaths.push(path);
        segments.push({ name, path, first, salt: 0, end: next, extents: [] });
        continue;
      }
      id = header.id;
      const { salt } = header;
      const found = await scan(file, {
        salt,
        first,
        offset: HEADER_BYTES,
        endOffset: bytes,
        ...(end === undefined ? {} : { end }),
        pointEvery,
      });
      const reported = found.gaps.map((gap) => report(path, gap, 'checksums do not match'));
      if (reported.includes(true)) damagedPaths.push(path);
      next = found.end;
      const segment = { name, path, first, salt, end: next, extents: found.extents };
      // An empty one is neither: the next segment takes its name, and must not be deleted for it.
      if (next > first) (next > released + 1 ? segments : done).push(segment);
      if (end === undefined) {
        const { endOffset: offset, tornBytes } = found;
        if (tornBytes > 0) unfinished = { path, offset, bytes: tornBytes, firstSequence: next };
        newest = damagedPaths.includes(path) ? { path } : { path, cutAt: offset };
      }
    } finally {
      await file.close();
    }
  }

  if (checkpoint !== undefined && next < checkpoint.next) {
    const last = firsts.at(-1);
    const path = join(directory, segmentName(last ?? next));
    const lost = {
      offset: newest?.cutAt ?? 0,
      firstSequence: next,
      lastSequence: checkpoint.next - 1,
      acknowledged: true,
    };
    if (report(path, lost, 'it ends too soon') && last !== undefined) damagedPaths.push(path);
    next = checkpoint.next;
    const short = segments.at(-1);
    if (short !== undefined) short.end = next;
    if (unfinished !== undefined) unfinished = { ...unfinished, firstSequence: next };
    newest = newest === undefined ? undefined : { path: newest.path };
  }
  return {
    segments,
    done,
    id,
    released: Math.min(released, next - 1),
    next,
    damages,
    damagedPaths,
    ...(unfinished === undefined ? {} : { unfinished }),
    ...(newest === undefined ? {} : { newest }),
  };
}

async function readHeader(file: OpenFile): Promise<SegmentHeader | undefined> {
  const block = Buffer.alloc(HEADER_BYTES);
  const bytes = await file.read(block, 0);
  return decodeHeader(block.subarray(0, bytes));
}
