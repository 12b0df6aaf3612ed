import { JournalFullError, JournalWriteError, errnoOf, isOutOfSpace } from '../errors.ts';
import type { FileSystem } from '../files/file-system.ts';
import type { ActiveSegment } from './active-segment.ts';
import { type Batch, BatchEncoder } from './batch.ts';
import type { SegmentAllocator } from './segment-allocator.ts';
import { FRAME_BYTES, HEADER_BYTES } from './segment-format.ts';
import { type Extent, type Segment, bytesFrom, extend, recordsFrom } from './segment.ts';

interface SegmentLogDeps {
  readonly files: FileSystem;
  readonly directory: string;
  readonly allocator: SegmentAllocator;
  /** The result of recovery; `done` are the segments without an unreleased record. */
  readonly recovered: { segments: Segment[]; done: Segment[]; released: number; next: number };
  readonly segmentBytes: number;
  /** Whether each batch is synced, or only a full segment. */
  readonly syncsBatches: boolean;
  /** Called when a segment failed to write or sync; nothing is written to it any more. */
  readonly onSegmentFailed: (segment: Segment, cause: unknown) => void;
}

type Outcome = 'not-applied' | 'unknown';

/** The segments of a directory. Batches are written to the newest one. */
export class SegmentLog {
  /** The segments with unreleased records, in order. */
  readonly segments: Segment[];
  first: number;
  next: number;
  /** Every sequence below is on the disk, not only in the operating system's memory. */
  synced: number;
  heldBytes = 0;
  commits = 0;
  syncs = 0;
  failedSegments = 0;
  readonly #deps: SegmentLogDeps;
  readonly #pointEvery: number;
  readonly #encoder = new BatchEncoder();
  readonly #bytesBySegment = new Map<Segment, number>();
  readonly #retiring = new Set<Promise<void>>();
  /** Segments without an unreleased record, which are deleted once the release mark is durable. */
  #done: Segment[];
  #active: ActiveSegment | undefined;

  constructor(deps: SegmentLogDeps) {
    const { recovered } = deps;
    this.#deps = deps;
    this.#pointEvery = indexDistance(deps.segmentBytes);
    this.segments = recovered.segments;
    this.#done = recovered.done;
    this.first = recovered.released + 1;
    this.next = recovered.next;
    this.synced = recovered.next;
    for (const segment of this.segments) this.#setBytes(segment, bytesFrom(segment, this.first));
  }

  /** The file that the next batch is written to, if there is one yet. */
  get activePath(): string | undefined {
    return this.#active?.segment.path;
  }

  get heldRecords(): number {
    return this.segments.reduce((sum, segment) => sum + recordsFrom(segment, this.first), 0);
  }

  /** The largest size of the next batch, given the size of its first unit. */
  capacity(firstUnitBytes: number): number {
    const room = this.#active === undefined ? 0 : this.#roomIn(this.#active);
    return firstUnitBytes <= room ? room : this.#deps.segmentBytes - HEADER_BYTES;
  }

  /** Makes the batch durable; resolves with its first sequence. A batch that fails takes no sequence. */
  async commit(batch: Batch): Promise<number> {
    const active = this.#active;
    let target =
      active !== undefined && (active.isEmpty || batch.bytes <= this.#roomIn(active))
        ? active
        : await this.#rotateBeforeWrite();
    const failure = await this.#write(target, batch);
    if (failure !== undefined) target = await this.#writeToNewSegment(target, batch);
    this.commits += 1;
    const sequence = this.next;
    const { segment } = target;
    const extent = segment.extents.at(-1);
    if (extent !== undefined) addBatch(extent, batch, this.#pointEvery);
    this.next += batch.payloads.length;
    segment.end = this.next;
    if (this.#deps.syncsBatches) this.synced = this.next;
    this.#setBytes(segment, (this.#bytesBySegment.get(segment) ?? 0) + batch.bytes);
    return sequence;
  }

  /** Raises the release mark. */
  release(through: number): void {
    if (through < this.first) return;
    this.first = through + 1;
    this.#dropReleased();
  }

  /** Deletes the segments whose records are all at or below a durable release mark. */
  async purge(through: number): Promise<void> {
    const ready = this.#done.filter((segment) => segment.end - 1 <= through);
    if (ready.length === 0) return;
    this.#done = this.#done.filter((segment) => segment.end - 1 > through);
    // A file that cannot be deleted stays until the next opening, which finds it below the mark.
    for (const { path } of ready) await Promise.allSettled([this.#deps.files.remove(path)]);
    await this.#deps.files.syncDirectory(this.#deps.directory);
  }

  /** @param owned whether this process may still write to the directory. */
  async close(owned: boolean): Promise<void> {
    const last = this.#active;
    this.#active = undefined;
    if (last !== undefined && owned) {
      await this.#syncFull(last);
      this.#retire(last);
    }
    await Promise.allSettled([owned ? undefined : last?.close(), this.#deps.allocator.close()]);
    await Promise.all(this.#retiring);
  }

  #roomIn(active: ActiveSegment): number {
    return this.#deps.segmentBytes - active.endOffset;
  }

  #setBytes(segment: Segment, bytes: number): void {
    this.heldBytes += bytes - (this.#bytesBySegment.get(segment) ?? 0);
    this.#bytesBySegment.set(segment, bytes);
  }

  #retire(target: ActiveSegment): void {
    const work = target.retire();
    this.#retiring.add(work);
    void work.then(() => this.#retiring.delete(work));
  }

  #dropReleased(): void {
    while (this.segments.length > 0) {
      const [oldest] = this.segments;
      if (oldest === undefined || oldest === this.#active?.segment || oldest.end > this.first)
        break;
      this.#setBytes(oldest, 0);
      this.#bytesBySegment.delete(oldest);
      this.#done.push(oldest);
      this.segments.shift();
    }
    const [oldest] = this.segments;
    if (oldest === undefined) return;
    this.#setBytes(oldest, this.first === this.next ? 0 : bytesFrom(oldest, this.first));
  }

  /** With `'os'` a full segment is synced here; a failure breaks no promise that an append made. */
  async #syncFull(full: ActiveSegment): Promise<void> {
    try {
      if (!this.#deps.syncsBatches) await full.sync();
      this.synced = this.next;
    } catch (cause) {
      this.failedSegments += 1;
      this.#deps.onSegmentFailed(full.segment, cause);
    }
  }

  async #rotate(): Promise<ActiveSegment> {
    const full = this.#active;
    if (full !== undefined) {
      await this.#syncFull(full);
      this.#active = undefined;
      this.#retire(full);
      this.#dropReleased();
    }
    this.#active = await this.#deps.allocator.allocate(this.next);
    this.segments.push(this.#active.segment);
    return this.#active;
  }

  async #rotateBeforeWrite(): Promise<ActiveSegment> {
    try {
      return await this.#rotate();
    } catch (cause) {
      throw this.#toError(this.#deps.directory, cause, 'not-applied');
    }
  }

  /** The second and last try of a batch, after `failed` has failed. */
  async #writeToNewSegment(failed: ActiveSegment, batch: Batch): Promise<ActiveSegment> {
    let target = failed;
    let failure: { cause: unknown } | undefined;
    try {
      target = await this.#rotate();
      failure = await this.#write(target, batch);
    } catch (cause) {
      throw this.#toError(target.segment.path, cause, 'unknown');
    }
    if (failure === undefined) return target;
    throw this.#toError(target.segment.path, failure.cause, 'unknown');
  }

  /**
   * Writes the batch. Resolves with the failure when the segment has failed and another one may be tried.
   * @throws JournalFullError when the disk is full; the segment then stays in use
   */
  async #write(target: ActiveSegment, batch: Batch): Promise<{ cause: unknown } | undefined> {
    try {
      await this.#writeFrames(target, batch).catch(async (cause: unknown) => {
        if (!isOutOfSpace(cause) || !(await target.cutUnfinishedWrite())) throw cause;
        // The zeros of the next segment must not take the space that these records need.
        if (!(await this.#deps.allocator.releaseSpare()))
          throw this.#diskFull(cause, 'not-applied');
        await this.#writeFrames(target, batch);
      });
      return undefined;
    } catch (cause) {
      if (cause instanceof JournalFullError) throw cause;
      if (isOutOfSpace(cause) && (await target.cutUnfinishedWrite())) {
        throw this.#diskFull(cause, 'not-applied');
      }
      this.#abandon(target, cause);
      return { cause };
    }
  }

  async #writeFrames(target: ActiveSegment, batch: Batch): Promise<void> {
    const { syncsBatches } = this.#deps;
    if (syncsBatches) this.syncs += 1;
    const frames = this.#encoder.encode(batch, target.segment.salt, this.next);
    await target.write(frames, syncsBatches ? 'writeThrough' : 'write');
  }

  /** Takes a failed segment out of use. One without a record leaves memory: the next one takes its file name. */
  #abandon(failed: ActiveSegment, cause: unknown): void {
    this.failedSegments += 1;
    this.#active = undefined;
    if (failed.isEmpty) this.segments.pop();
    this.#retire(failed);
    this.#deps.onSegmentFailed(failed.segment, cause);
  }

  #diskFull(cause: unknown, outcome: Outcome): JournalFullError {
    return new JournalFullError(
      'disk',
      `journal: the disk of ${this.#deps.directory} has no room (${errnoOf(cause)}); ` +
        'appends succeed again once there is',
      { current: this.heldBytes, cause, outcome },
    );
  }

  #toError(file: string, cause: unknown, outcome: Outcome): Error {
    if (cause instanceof JournalFullError) return cause;
    if (isOutOfSpace(cause)) return this.#diskFull(cause, outcome);
    return new JournalWriteError(
      file,
      `journal: writing ${file} failed (${errnoOf(cause) ?? 'no code'})` +
        (outcome === 'unknown' ? ', and so did a new segment' : '') +
        '; the next append tries a new segment',
      { cause, outcome },
    );
  }
}

/** The distance of search points in bytes: 256 to a segment. */
export function indexDistance(segmentBytes: number): number {
  return Math.max(1, Math.ceil(segmentBytes / 256));
}

/** Adds the batch to the extent, record by record where a search point may fall between two. */
function addBatch(extent: Extent, { payloads, bytes }: Batch, pointEvery: number): void {
  if (bytes <= pointEvery) {
    extend(extent, payloads.length, bytes, pointEvery);
    return;
  }
  for (const payload of payloads) extend(extent, 1, FRAME_BYTES + payload.byteLength, pointEvery);
}
