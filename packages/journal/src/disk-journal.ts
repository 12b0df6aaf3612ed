import { abortable, type Emitter, type Subscribe, settlesWithin } from '@holdfast/foundation';
import { admit } from './commit/admission.ts';
import type { CheckpointFile } from './commit/checkpoint.ts';
import { Checkpointer } from './commit/checkpointer.ts';
import { GroupCommit } from './commit/group-commit.ts';
import {
  JournalClosedError,
  JournalCorruptError,
  JournalFullError,
  JournalReadError,
  JournalStalledError,
  JournalUnavailableError,
  JournalWriteError,
  errnoOf,
} from './errors.ts';
import type {
  Journal,
  JournalEvents,
  JournalFailure,
  JournalRecord,
  JournalRecovery,
  JournalStats,
  ReadLimits,
} from './journal.ts';
import { type ResolvedJournalOptions, checkSequence, parseReadLimits } from './options.ts';
import { awakeClock } from './files/awake-clock.ts';
import { watchedFiles } from './files/bounded-files.ts';
import type { FileSystem } from './files/file-system.ts';
import type { LostError, Ownership } from './ownership/ownership.ts';
import type { RecoveryResult } from './recovery.ts';
import { excludeDamage } from './segments/damage.ts';
import { RecordReader } from './segments/record-reader.ts';
import type { Batch } from './segments/batch.ts';
import type { Gap } from './segments/scan.ts';
import { SegmentAllocator } from './segments/segment-allocator.ts';
import { SegmentLog, indexDistance } from './segments/segment-log.ts';
import type { Segment } from './segments/segment.ts';

/**
 * The states of an open journal:
 *
 *     open ──close──▶ closing ──flushed──▶ closed
 *      │                                     ▲
 *      └─lost──▶ lost ──close────────────────┘
 */
type JournalState =
  | { readonly kind: 'open' }
  | { readonly kind: 'lost'; readonly error: LostError }
  | { readonly kind: 'closing' }
  | { readonly kind: 'closed' };

type StateEvent =
  | { readonly kind: 'close' }
  | { readonly kind: 'flushed' }
  | { readonly kind: 'lost'; readonly error: LostError };

function transition(state: JournalState, event: StateEvent): JournalState {
  if (state.kind === 'open') {
    if (event.kind === 'close') return { kind: 'closing' };
    if (event.kind === 'lost') return { kind: 'lost', error: event.error };
  }
  if (state.kind === 'lost' && event.kind === 'close') return { kind: 'closed' };
  if (state.kind === 'closing' && event.kind === 'flushed') return { kind: 'closed' };
  return state;
}

interface DiskJournalDeps {
  readonly options: ResolvedJournalOptions;
  /** Bounded in time, for everything but the writes of records. */
  readonly files: FileSystem;
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
  readonly #files: FileSystem;
  readonly #ownership: Ownership;
  readonly #emitter: Emitter<JournalEvents>;
  readonly #log: SegmentLog;
  readonly #reader: RecordReader;
  readonly #checkpointer: Checkpointer;
  readonly #commits: GroupCommit;
  readonly #reads = new Set<Promise<unknown>>();
  #state: JournalState = { kind: 'open' };
  /** Set when the directory is lost, whatever the state is then. */
  #lost: LostError | undefined;
  #lastProgressMs = Number.NEGATIVE_INFINITY;
  #closing: Promise<void> | undefined;
  #appended = 0;
  #rejected = 0;
  #quarantinedRanges: number;
  /** Since the last append that succeeded. */
  #fullError: JournalFullError | undefined;

  constructor(deps: DiskJournalDeps) {
    const { options, ownership, emitter, id, recovered, recovery } = deps;
    const { directory, clock, segmentBytes, durability, ioTimeoutMs } = options;
    const files = watchedFiles(options.files, () => {
      this.#lastProgressMs = clock.now();
    });
    this.#files = deps.files;
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
      files: deps.files,
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
      commit: (batch) => this.#commit(batch),
      pauseMs: durability === 'batch-ms' ? options.batchMs : 0,
      clock,
      ioTimeoutMs,
      lastProgressMs: () => this.#lastProgressMs,
      onStalled: () => this.#onStalled(),
      onResumed: (late) => emitter.emit('resumed', { late }),
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
    const failure = this.#failure();
    return {
      state: this.#state.kind,
      ...(failure !== undefined && { failure }),
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

  /** The directory is another process's, or gone: nothing more is written. */
  lose(error: LostError): void {
    this.#lost = error;
    this.#state = transition(this.#state, { kind: 'lost', error });
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
      if (payloads.length === 0) {
        // A disk that hangs is told from a directory that is lost by the next append.
        await this.#ownership.confirm();
        return next;
      }
      return await this.#commits.add(payloads, bytes);
    } catch (error) {
      this.#rejected += payloads.length;
      if (error instanceof JournalFullError) {
        if (this.#fullError === undefined) this.#emitter.emit('full', error);
        this.#fullError = error;
      }
      throw error;
    }
  }

  async #commit(batch: Batch): Promise<number> {
    const confirmed = this.#ownership.confirm();
    if (confirmed !== undefined) await confirmed;
    let first: number;
    try {
      first = await this.#log.commit(batch);
    } catch (error) {
      await this.#assertInPlace();
      throw error;
    }
    await this.#assertInPlace();
    // The write may have taken long, and another process the directory meanwhile.
    await this.#ownership.confirm();
    this.#appended += batch.payloads.length;
    this.#fullError = undefined;
    this.#checkpointer.schedule();
    return first;
  }

  /** What was written to files that nobody can find again must not be acknowledged. */
  async #assertInPlace(): Promise<void> {
    if (await this.#ownership.isInPlace(this.#log.activePath)) return;
    const lost = this.#lost;
    if (lost === undefined || lost.code === 'JOURNAL_LOCKED')
      throw lost ?? new JournalClosedError('append');
    throw new JournalUnavailableError(lost.directory, lost.message, undefined, 'unknown');
  }

  #onStalled(): { written: Error; waiting: Error } {
    const { directory, ioTimeoutMs } = this.#options;
    const written = new JournalStalledError(directory, ioTimeoutMs, 'unknown');
    this.#emitter.emit('stalled', written);
    return { written, waiting: new JournalStalledError(directory, ioTimeoutMs, 'not-applied') };
  }

  #failure(): JournalFailure | undefined {
    const { directory, ioTimeoutMs } = this.#options;
    const beat = this.#ownership.failure;
    const isHanging = this.#commits.isStalled || errnoOf(beat) === 'ETIMEDOUT';
    let error: (Error & { code: string }) | undefined = this.#lost;
    if (isHanging) error ??= new JournalStalledError(directory, ioTimeoutMs, 'not-applied');
    else if (beat !== undefined) error ??= heartbeatError(directory, beat);
    if (this.#fullError?.limit === 'disk') error ??= this.#fullError;
    return error && { code: error.code, message: error.message };
  }

  #assertWritable(method: string): void {
    if (this.#state.kind === 'open') return;
    throw this.#state.kind === 'lost' ? this.#state.error : new JournalClosedError(method);
  }

  #excludeDamage(segment: Segment, sequence: number): Promise<void> {
    const { segmentBytes, onCorruption } = this.#options;
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
    return excludeDamage(this.#files, segment, sequence, { pointEvery, accept });
  }

  async #onCheckpoint(released: number): Promise<void> {
    await this.#reader.trim();
    await this.#log.purge(released);
    this.#emitter.emit('checkpointed', { released });
  }

  #onCheckpointFailed(cause: unknown): boolean {
    if (this.#lost !== undefined) return false;
    this.#emitter.emit('checkpoint-failed', checkpointError(this.#options.directory, cause));
    return true;
  }

  async #shutDown(): Promise<void> {
    this.#state = transition(this.#state, { kind: 'close' });
    await this.#commits.drain();
    const { directory, clock, ioTimeoutMs } = this.#options;
    const ended = this.#end();
    // Only what waits for a disk that hangs takes this long; it goes on, and gives the directory up in the end.
    if (!(await settlesWithin(awakeClock(clock), ioTimeoutMs, ended))) {
      this.#state = transition(this.#state, { kind: 'flushed' });
      throw new JournalStalledError(directory, ioTimeoutMs, 'unknown');
    }
    await ended;
  }

  async #end(): Promise<void> {
    await this.#commits.ended();
    // Read only now: the last write may have found that the directory is lost.
    const owned = this.#lost === undefined;
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

function heartbeatError(directory: string, cause: unknown): JournalWriteError {
  return new JournalWriteError(
    directory,
    `journal: the heartbeat in ${directory} fails (${errnoOf(cause) ?? 'no code'}), so that appends would; see to the ` +
      'disk or the mount',
    { cause, outcome: 'not-applied' },
  );
}

function checkpointError(directory: string, cause: unknown): JournalWriteError {
  return new JournalWriteError(
    directory,
    `journal: the last release mark of ${directory} could not be written ` +
      `(${errnoOf(cause) ?? 'no code'}); records released since may be read once more`,
    { cause, outcome: 'unknown' },
  );
}
