import { JournalFullError, JournalWriteError, errnoOf, isOutOfSpace } from '../errors.ts';
import { type FileSystem, writeAll } from '../files/file-system.ts';
import type { Batch } from '../commit/group-commit.ts';
import { FRAME_BYTES, HEADER_BYTES, encodeFrame } from './segment-format.ts';
import type { ActiveSegment, SegmentAllocator } from './segment-allocator.ts';
import { type Segment, bytesFrom, extend, recordsFrom } from './segment.ts';

/** The segments of a directory, the newest of which is written to. */
export interface SegmentLog {
  /** Those with records not yet released, in order. */
  readonly segments: readonly Segment[];
  readonly first: number;
  readonly next: number;
  /** Every sequence below is on the disk, not only in the operating system's memory. */
  readonly synced: number;
  readonly heldBytes: number;
  readonly heldRecords: number;
  readonly commits: number;
  readonly syncs: number;
  readonly failedSegments: number;
  /** How many bytes the next batch may have when its first unit has so many. */
  capacity(firstUnitBytes: number): number;
  /** Makes the batch durable; gives its first sequence. A batch that fails takes no sequence. */
  commit(batch: Batch): Promise<number>;
  /** Raises the release mark. */
  release(through: number): void;
  /** Deletes the segments that stand wholly at or below a mark that is durable. */
  purge(through: number): Promise<void>;
  /** @param owned whether the directory is still this process's to write to. */
  close(owned: boolean): Promise<void>;
}

/** Kept from batch to batch up to this size. */
const SCRATCH_BYTES = 1_114_112;

export function createSegmentLog(options: {
  files: FileSystem;
  directory: string;
  supply: SegmentAllocator;
  /** What recovery found, with records not yet released. */
  found: Segment[];
  /** What recovery found with none. */
  done: Segment[];
  first: number;
  next: number;
  segmentBytes: number;
  syncs: boolean;
  condemn(segment: Segment, cause: unknown): void;
}): SegmentLog {
  const { files, directory, supply, segmentBytes, syncs: synchronous } = options;
  const pointEvery = indexDistance(segmentBytes);
  const segments = options.found;
  const held = new Map<Segment, number>();
  let doomed = options.done;
  let first = options.first;
  let next = options.next;
  let synced = options.next;
  let heldBytes = 0;
  let active: ActiveSegment | undefined;
  let scratch = Buffer.allocUnsafeSlow(65_536);
  let commits = 0;
  let syncs = 0;
  let condemned = 0;
  const background = new Set<Promise<unknown>>();

  const count = (segment: Segment, bytes: number): void => {
    heldBytes += bytes - (held.get(segment) ?? 0);
    held.set(segment, bytes);
  };
  for (const segment of segments) count(segment, bytesFrom(segment, first));

  const roomIn = ({ segment }: ActiveSegment): number =>
    segmentBytes - (segment.extents.at(-1)?.endOffset ?? HEADER_BYTES);

  const isEmpty = ({ segment }: ActiveSegment): boolean => segment.end === segment.first;

  /** Nothing is written to it any more; what was prepared and not used goes back to the disk. */
  const retire = ({ segment, file }: ActiveSegment): void => {
    const work = Promise.allSettled([
      file.truncate(segment.extents.at(-1)?.endOffset ?? HEADER_BYTES),
    ]).then(() => Promise.allSettled([file.close()]));
    background.add(work);
    void work.then(() => background.delete(work));
  };

  const dropReleased = (): void => {
    while (segments.length > 0) {
      const [head] = segments;
      if (head === undefined || head === active?.segment || head.end > first) break;
      count(head, 0);
      held.delete(head);
      doomed.push(head);
      segments.shift();
    }
    const [head] = segments;
    if (head !== undefined) count(head, first === next ? 0 : bytesFrom(head, first));
  };

  /** With `'os'` a segment is synced when it is full; that it fails costs nothing an append promised. */
  const syncSealed = async ({ segment, file }: ActiveSegment): Promise<void> => {
    try {
      if (!synchronous) await file.sync();
      synced = next;
    } catch (cause) {
      condemned += 1;
      options.condemn(segment, cause);
    }
  };

  const rotate = async (): Promise<ActiveSegment> => {
    if (active !== undefined) {
      const full = active;
      await syncSealed(full);
      active = undefined;
      retire(full);
      dropReleased();
    }
    active = await supply.allocate(next);
    segments.push(active.segment);
    return active;
  };

  /** A segment without a record leaves memory; the next one takes its name, and so its place on the disk. */
  const condemn = (target: ActiveSegment, cause: unknown): void => {
    condemned += 1;
    active = undefined;
    if (isEmpty(target)) segments.pop();
    retire(target);
    options.condemn(target.segment, cause);
  };

  const encode = (batch: Batch, salt: number): Buffer => {
    const { payloads, bytes } = batch;
    if (scratch.length < bytes && bytes <= SCRATCH_BYTES) {
      scratch = Buffer.allocUnsafeSlow(Math.min(SCRATCH_BYTES, bytes * 2));
    }
    const into = bytes <= scratch.length ? scratch : Buffer.allocUnsafeSlow(bytes);
    let at = 0;
    let place = 0;
    for (const payload of payloads) {
      at = encodeFrame(into, at, { salt, sequence: next + place, place, payload });
      place += 1;
    }
    return into.subarray(0, bytes);
  };

  /** Cuts off what a failed write left behind, so that it is never taken for a record. */
  const cut = async ({ segment, file }: ActiveSegment): Promise<boolean> => {
    try {
      await file.truncate(segment.extents.at(-1)?.endOffset ?? HEADER_BYTES);
      await file.sync();
      return true;
    } catch {
      return false;
    }
  };

  const write = async ({ segment, file }: ActiveSegment, batch: Batch): Promise<void> => {
    const at = segment.extents.at(-1)?.endOffset ?? HEADER_BYTES;
    if (synchronous) syncs += 1;
    const how = synchronous ? 'writeThrough' : 'write';
    await writeAll(file, encode(batch, segment.salt), at, how);
  };

  /** Gives the failure that condemned the segment, if one did. */
  const put = async (
    target: ActiveSegment,
    batch: Batch,
  ): Promise<{ cause: unknown } | undefined> => {
    try {
      await write(target, batch).catch(async (cause: unknown) => {
        if (!isOutOfSpace(cause) || !(await cut(target))) throw cause;
        // The zeros of the next segment must not take the room of this one's records.
        if (!(await supply.releaseSpare())) throw diskFull(cause, 'not-applied');
        await write(target, batch);
      });
    } catch (cause) {
      if (cause instanceof JournalFullError) throw cause;
      if (isOutOfSpace(cause) && (await cut(target))) throw diskFull(cause, 'not-applied');
      condemn(target, cause);
      return { cause };
    }
    return undefined;
  };

  const diskFull = (cause: unknown, outcome: 'not-applied' | 'unknown'): JournalFullError =>
    new JournalFullError(
      'disk',
      `journal: the disk of ${directory} has no room (${errnoOf(cause)}); ` +
        'appends succeed again once there is',
      { current: heldBytes, cause, outcome },
    );

  const failed = (file: string, cause: unknown, outcome: 'not-applied' | 'unknown'): Error => {
    if (cause instanceof JournalFullError) return cause;
    if (isOutOfSpace(cause)) return diskFull(cause, outcome);
    return new JournalWriteError(
      file,
      `journal: writing ${file} failed (${errnoOf(cause) ?? 'no code'})` +
        (outcome === 'unknown' ? ', and so did a new segment' : '') +
        '; the next append tries a new segment',
      { cause, outcome },
    );
  };

  const commit = async (batch: Batch): Promise<number> => {
    let target = active;
    if (target === undefined || (!isEmpty(target) && batch.bytes > roomIn(target))) {
      try {
        target = await rotate();
      } catch (cause) {
        throw failed(directory, cause, 'not-applied');
      }
    }
    let failure = await put(target, batch);
    if (failure !== undefined) {
      try {
        target = await rotate();
        failure = await put(target, batch);
      } catch (cause) {
        throw failed(target.segment.path, cause, 'unknown');
      }
      if (failure !== undefined) throw failed(target.segment.path, failure.cause, 'unknown');
    }
    commits += 1;
    const sequence = next;
    const { segment } = target;
    const extent = segment.extents.at(-1);
    if (extent !== undefined) grow(extent, batch, pointEvery);
    next += batch.payloads.length;
    segment.end = next;
    if (synchronous) synced = next;
    count(segment, (held.get(segment) ?? 0) + batch.bytes);
    return sequence;
  };

  return {
    segments,
    get first() {
      return first;
    },
    get next() {
      return next;
    },
    get synced() {
      return synced;
    },
    get heldBytes() {
      return heldBytes;
    },
    get heldRecords() {
      return segments.reduce((sum, segment) => sum + recordsFrom(segment, first), 0);
    },
    get commits() {
      return commits;
    },
    get syncs() {
      return syncs;
    },
    get failedSegments() {
      return condemned;
    },
    capacity(firstUnitBytes) {
      const room = active === undefined ? 0 : roomIn(active);
      return firstUnitBytes <= room ? room : segmentBytes - HEADER_BYTES;
    },
    commit,
    release(through) {
      if (through < first) return;
      first = through + 1;
      dropReleased();
    },
    async purge(through) {
      const ready = doomed.filter((segment) => segment.end - 1 <= through);
      if (ready.length === 0) return;
      doomed = doomed.filter((segment) => segment.end - 1 > through);
      for (const segment of ready) {
        try {
          await files.remove(segment.path);
        } catch {
          // It stays until the next opening, which finds it below the mark.
        }
      }
      await files.syncDirectory(directory);
    },
    async close(owned) {
      const last = active;
      active = undefined;
      if (last !== undefined && owned) {
        await syncSealed(last);
        retire(last);
      }
      await Promise.allSettled([owned ? undefined : last?.file.close(), supply.close()]);
      await Promise.all(background);
    },
  };
}

/** How far apart search points stand: 256 to a segment. */
export function indexDistance(segmentBytes: number): number {
  return Math.max(1, Math.ceil(segmentBytes / 256));
}

/** Adds the batch to the extent, record by record where a search point may fall between two. */
function grow(extent: Segment['extents'][number], batch: Batch, pointEvery: number): void {
  const { payloads, bytes } = batch;
  if (bytes <= pointEvery) {
    extend(extent, payloads.length, bytes, pointEvery);
    return;
  }
  for (const payload of payloads) {
    extend(extent, 1, frameBytes(payload), pointEvery);
  }
}

/** What a record takes in a segment. */
export function frameBytes(payload: Uint8Array): number {
  return FRAME_BYTES + payload.byteLength;
}
