import { abortable, type Emitter, type Subscribe } from '@holdfast/foundation';
import { admit } from './commit/admission.ts';
import type { CheckpointFile } from './commit/checkpoint.ts';
import { Checkpointer } from './commit/checkpointer.ts';
import { GroupCommit } from './commit/group-commit.ts';
import {
  JournalClosedError,
  JournalCorruptError,
  JournalFullError,
  type JournalLockedError,
  JournalReadError,
  JournalWriteError,
  errnoOf,
} from './errors.ts';
import type {
  Journal,
  JournalEvents,
  JournalRecord,
  JournalRecovery,
  JournalStats,
  ReadLimits,
} from './journal.ts';
import { type ResolvedJournalOptions, checkSequence, parseReadLimits } from './options.ts';
import type { Ownership } from './ownership/ownership.ts';
import type { RecoveryResult } from './recovery.ts';
import { excludeDamage } from './segments/damage.ts';
import { RecordReader } from './segments/record-reader.ts';
import type { Gap } from './segments/scan.ts';
import { SegmentAllocator } from './segments/segment-allocator.ts';
import { SegmentLog, indexDistance } from './segments/segment-log.ts';
import type { Segment } from './segments/segment.ts';

/**
 * The states of an open journal:
 *
 *     open ──close──▶ closing ──flushed──▶ closed
 *      │                                     ▲
 *      └─taken-over─▶ lost ──close───────────┘
 */
type JournalState =
  | { readonly kind: 'open' }
  | { readonly kind: 'lost'; readonly error: JournalLockedError }
  | { readonly kind: 'closing' }
  | { readonly kind: 'closed' };

type StateEvent =
  | { readonly kind: 'close' }
  | { readonly kind: 'flushed' }
  | { readonly kind: 'taken-over'; readonly error: JournalLockedError };

function transition(state: JournalState, event: StateEvent): JournalState {
  if (state.kind === 'open') {
    if (event.kind === 'close') return { kind: 'closing' };
    if (event.kind === 'taken-over') return { kind: 'lost', error: event.error };
  }
  if (state.kind === 'lost' && event.kind === 'close') return { kind: 'closed' };
  if (state.kind === 'closing' && event.kind === 'flushed') return { kind: 'closed' };
  return state;
}

interface DiskJournalDeps {
  readonly options: ResolvedJournalOptions;
  readonly ownership: Ownership;
  readonly emitter: Emitter<JournalEvents>;
  readonly id: string;
  readonly recovered: RecoveryResult;
  readonly recovery: JournalRecovery;
  readonly checkpoint: CheckpointFile;
}

/** The journal of a directory that this process owns and has recovered. */
export class DiskJournal implements Journal {
  readonly id: string;
  readonly epoch: number;
  readonly recovery: JournalRecovery;
  readonly on: Subscribe<JournalEvents>;
  readonly #options: ResolvedJournalOptions;
  readonly #ownership: Ownership;
  readonly #emitter: Emitter<JournalEvents>;
  readonly #log: SegmentLog;
  readonly #reader: RecordReader;
  readonly #checkpointer: Checkpointer;
  readonly #commits: GroupCommit;
  readonly #reads = new Set<Promise<unknown>>();
  #state: JournalState = { kind: 'open' };
  /** Set when another process took the directory over, whatever the state is then. */
  #lostTo: JournalLockedError | undefined;
  #closing: Promise<void> | undefined;
  #appended = 0;
  #rejected = 0;
  #quarantinedRanges: number;
  #isFull = false;

  constructor(deps: DiskJournalDeps) {
    const { options, ownership, emitter, id, recovered, recovery } = deps;
    const { directory, files, clock, segmentBytes, durability } = options;
    this.id = id;
    this.epoch = ownership.epoch;
    this.recovery = recovery;
    this.on = emitter.on;
    this.#options = options;
    this.#ownership = ownership;
    this.#emitter = emitter;
    this.#quarantinedRanges = recovery.quarantined.length;
    const { epoch } = ownership;
    this.#log = new SegmentLog({
      files,
      directory,
      allocator: new SegmentAllocator({ files, directory, id, epoch, segmentBytes }),
      recovered,
      segmentBytes,
      syncsBatches: durability !== 'os',
      onSegmentFailed: ({ path: file, first: firstSequence }, cause) => {
        emitter.emit('segment-failed', { file, firstSequence, cause });
      },
    });
    this.#reader = new RecordReader({
      files,
      segments: this.#log.segments,
      onDamage: (segment, sequence) => this.#excludeDamage(segment, sequence),
    });
    this.#checkpointer = new Checkpointer({
      file: deps.checkpoint,
      clock,
      checkpointMs: options.checkpointMs,
      confirm: () => ownership.confirm(),
      current: () => ({ id, released: this.#log.first - 1, next: this.#log.synced }),
      onDurable: ({ released }) => this.#onCheckpoint(released),
      onFailed: (cause) => this.#onCheckpointFailed(cause),
    });
    this.#commits = new GroupCommit({
      capacity: (firstUnitBytes) => this.#log.capacity(firstUnitBytes),
      commit: async (batch) => {
        const confirmed = ownership.confirm();
        if (confirmed !== undefined) await confirmed;
        const first = await this.#log.commit(batch);
        this.#appended += batch.payloads.length;
        this.#isFull = false;
        this.#checkpointer.schedule();
        return first;
      },
      pauseMs: durability === 'batch-ms' ? options.batchMs : 0,
      clock,
    });
    if (recovered.done.length > 0) this.#checkpointer.schedule();
  }

  get first(): number {
    return this.#log.first;
  }

  get next(): number {
    return this.#log.next;
  }

  append(payload: Uint8Array): Promise<number> {
    return this.#add([payload], 'append');
  }

  appendAll(payloads: readonly Uint8Array[]): Promise<number> {
    return this.#add([...payloads], 'appendAll');
  }

  async read(from: number, limits?: ReadLimits): Promise<JournalRecord[]> {
    const { maxRecords, maxBytes, signal } = parseReadLimits(limits);
    checkSequence('read', 'from', from, Number.MAX_SAFE_INTEGER);
    const { kind } = this.#state;
    if (kind === 'closing' || kind === 'closed') throw new JournalClosedError('read');
    signal?.throwIfAborted();
    const isAborted = (): boolean => signal?.aborted === true;
    const work: Promise<JournalRecord[]> = this.#reader
      .read(Math.max(from, this.#log.first), { maxRecords, maxBytes, isAborted })
      .catch((cause: unknown) => {
        throw errnoOf(cause)?.startsWith('E') === true
          ? new JournalReadError(this.#options.directory, cause)
          : cause;
      });
    this.#reads.add(work);
    const forget = (): void => void this.#reads.delete(work);
    work.then(forget, forget);
    return signal === undefined ? work : abortable(work, signal);
  }

  async release(through: number): Promise<void> {
    this.#assertWritable('release');
    checkSequence('release', 'through', through, this.#log.next - 1);
    if (through < this.#log.first) return;
    this.#log.release(through);
    this.#checkpointer.schedule();
  }

  getStats(): JournalStats {
    const log = this.#log;
    return {
      state: this.#state.kind,
      records: log.heldRecords,
      bytes: log.heldBytes,
      segments: log.segments.length,
      pendingRecords: this.#commits.pendingRecords,
      pendingBytes: this.#commits.pendingBytes,
      appended: this.#appended,
      rejected: this.#rejected,
      released: log.first - 1,
      commits: log.commits,
      syncs: log.syncs,
      failedSegments: log.failedSegments,
      quarantinedRanges: this.#quarantinedRanges,
    };
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#shutDown());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Another process took the directory over: nothing more is written. */
  takenOver(error: JournalLockedError): void {
    this.#lostTo = error;
    this.#state = transition(this.#state, { kind: 'taken-over', error });
    this.#commits.fail(error);
    this.#emitter.emit('lost', error);
  }

  async #add(payloads: readonly Uint8Array[], method: string): Promise<number> {
    try {
      this.#assertWritable(method);
      const { heldBytes, next, first } = this.#log;
      const { pendingBytes, pendingRecords } = this.#commits;
      const usage = { heldBytes, heldRecords: next - first, pendingBytes, pendingRecords };
      const bytes = admit(payloads, this.#options, usage);
      if (payloads.length === 0) return next;
      return await this.#commits.add(payloads, bytes);
    } catch (error) {
      this.#rejected += payloads.length;
      if (error instanceof JournalFullError && !this.#isFull) {
        this.#isFull = true;
        this.#emitter.emit('full', error);
      }
      throw error;
    }
  }

  #assertWritable(method: string): void {
    if (this.#state.kind === 'open') return;
    throw this.#state.kind === 'lost' ? this.#state.error : new JournalClosedError(method);
  }

  #excludeDamage(segment: Segment, sequence: number): Promise<void> {
    const { files, segmentBytes, onCorruption } = this.#options;
    const accept = (gaps: readonly Gap[]): void => {
      for (const gap of gaps) {
        const seen = 'checksums do not match';
        const error = new JournalCorruptError({ ...gap, file: segment.path, seen });
        this.#quarantinedRanges += 1;
        this.#emitter.emit('quarantined', error);
        if (onCorruption === 'refuse') throw error;
      }
    };
    const pointEvery = indexDistance(segmentBytes);
    return excludeDamage(files, segment, sequence, { pointEvery, accept });
  }

  async #onCheckpoint(released: number): Promise<void> {
    await this.#reader.trim();
    await this.#log.purge(released);
    this.#emitter.emit('checkpointed', { released });
  }

  #onCheckpointFailed(cause: unknown): boolean {
    if (this.#lostTo !== undefined) return false;
    this.#emitter.emit('checkpoint-failed', checkpointError(this.#options.directory, cause));
    return true;
  }

  async #shutDown(): Promise<void> {
    this.#state = transition(this.#state, { kind: 'close' });
    await this.#commits.drain();
    // Read only now: the last write may have found that the directory was taken over.
    const owned = this.#lostTo === undefined;
    await Promise.allSettled(this.#reads);
    const results = await Promise.allSettled([this.#log.close(owned), this.#reader.close()]);
    if (owned) results.push(...(await Promise.allSettled([this.#checkpointer.flush()])));
    const last = [this.#checkpointer.close(), this.#ownership.release()];
    results.push(...(await Promise.allSettled(last)));
    this.#state = transition(this.#state, { kind: 'flushed' });
    for (const result of results) {
      if (result.status === 'rejected') {
        throw checkpointError(this.#options.directory, result.reason);
      }
    }
  }
}

function checkpointError(directory: string, cause: unknown): JournalWriteError {
  return new JournalWriteError(
    directory,
    `journal: the last release mark of ${directory} could not be written ` +
      `(${errnoOf(cause) ?? 'no code'}); records released since may be read once more`,
    { cause, outcome: 'unknown' },
  );
}
