import { type Journal, JournalFullError } from '@holdfast/journal';
import {
  type Clock,
  LinkedList,
  type ListNode,
  OrderedMap,
  type Timer,
} from '@holdfast/foundation';
import type { BodySource } from '../backend.ts';
import { bytesSource } from '../object/body.ts';
import { BodyIntegrityError, StorageFullError } from '../errors.ts';
import type { Operation } from './operation.ts';
import type { BodyFiles } from './blobs.ts';
import type { BlockChecksums } from './checked-file.ts';
import {
  type LogRecord,
  type SavedProgress,
  type Settlement,
  decodeRecord,
  encodeRecord,
} from './record.ts';

/** An operation in the journal, and its state. */
interface Held {
  readonly operation: Operation;
  sequence: number;
  /** Its bytes, if there is room for them in memory. */
  bytes: Uint8Array | undefined;
  /** The checksums of the file of its body; not known yet for a file of an earlier process. */
  blocks: BlockChecksums | undefined;
  /** Whether the file of its body was found damaged. */
  isDamaged: boolean;
  /** The backends that have it, for a rewrite of its record. */
  readonly settled: Set<string>;
}

/** An append in progress: its record will have the sequence `from` or a higher one. */
interface PendingAppend extends ListNode {
  readonly from: number;
}

/** Obsolete records before the old operations among them are rewritten. */
const COMPACT_AT_RECORDS = 2_000;
/** Settlements are written for so many operations at once, or after this time. */
const SETTLE_AT = 64;
const SETTLE_WITHIN_MS = 20;

/**
 * The accepted operations that not every backend has, and the progress of each backend, in a journal. The
 * journal releases its records only in their order, so an operation that waits for long is rewritten at the end
 * once too many records follow it.
 */
export class OperationLog {
  readonly #journal: Journal;
  readonly #blobs: BodyFiles;
  readonly #clock: Clock;
  readonly #maxMemoryBytes: number;
  /** By operation id, in the order of their sequences. */
  readonly #held = new OrderedMap<Held>();
  /** The lowest sequences of the records that are being appended. */
  readonly #pendingAppends = new LinkedList<PendingAppend>();
  #inOrder = true;
  #latestSequence = 0;
  /** The latest operation is kept, settled or not: it shows which generations a copy of this journal knows. */
  #keptSequence: number | undefined;
  #settlements: { readonly settlement: Settlement; readonly kept: () => void }[] = [];
  #settleTimer: Timer | undefined;
  #isSettlingDue = false;
  #settling: Promise<void> | undefined;
  #isReleaseDue = false;
  #compacting: Promise<void> | undefined;
  #memoryBytes = 0;

  constructor(
    journal: Journal,
    blobs: BodyFiles,
    options: { clock: Clock; maxMemoryBytes: number },
  ) {
    this.#journal = journal;
    this.#blobs = blobs;
    this.#clock = options.clock;
    this.#maxMemoryBytes = options.maxMemoryBytes;
  }

  /** Takes over an operation that the journal held when it was opened. */
  adopt(operation: Operation, sequence: number, settled: ReadonlySet<string>): void {
    this.#hold({
      operation,
      sequence,
      bytes: undefined,
      blocks: undefined,
      isDamaged: false,
      settled: new Set(settled),
    });
  }

  /** Keeps the record of the latest operation that the journal held when it was opened. */
  keep(sequence: number | undefined): void {
    this.#keptSequence = sequence;
  }

  /**
   * Resolves once the operation is durable.
   * @throws StorageFullError, and the journal's own errors
   */
  append(
    operation: Operation,
    bytes: Uint8Array | undefined,
    blocks?: BlockChecksums,
  ): Promise<void> {
    const record = encodeRecord({ kind: 'operation', operation, bytes, settled: [] });
    return this.#append(record, operation.size, (sequence) => {
      const hasRoom = this.#memoryBytes + operation.size <= this.#maxMemoryBytes;
      const kept =
        bytes !== undefined && hasRoom
          ? record.subarray(record.byteLength - bytes.byteLength)
          : undefined;
      this.#memoryBytes += kept?.byteLength ?? 0;
      const settled = new Set<string>();
      this.#keptSequence = Math.max(sequence, this.#keptSequence ?? 0);
      this.#hold({ operation, sequence, bytes: kept, blocks, isDamaged: false, settled });
    });
  }

  /**
   * The body of an operation that is still held; a promise only when the disk has to be read. A damaged body fails
   * while it is read, before any damaged byte is handed out.
   * @throws BodyIntegrityError
   */
  body(operation: Operation): BodySource | Promise<BodySource> {
    const held = this.#held.get(operation.id);
    if (held === undefined) throw new RangeError(`operation ${operation.id} is no longer held`);
    if (operation.blob !== undefined) return this.#fileOf(held, operation.blob);
    return held.bytes === undefined ? this.#read(held).then(bytesSource) : bytesSource(held.bytes);
  }

  /** Whether the body was found damaged on the disk: no attempt will ever send it. */
  isDamaged(operation: Operation): boolean {
    return this.#held.get(operation.id)?.isDamaged === true;
  }

  /**
   * Records that a backend has the operation, in a batch; `kept` is called once that is durable. A lost
   * settlement costs the next process one read from the backend.
   * @param isAwaited someone waits until everything is settled: it is written at once.
   */
  settle(operation: Operation, backend: string, isAwaited: boolean, kept: () => void): void {
    this.#held.get(operation.id)?.settled.add(backend);
    const { key, generation } = operation;
    this.#settlements.push({ settlement: { backend, key, generation }, kept });
    if (isAwaited || this.#settlements.length >= SETTLE_AT) this.#startSettling();
    else {
      this.#settleTimer ??= this.#clock.schedule(SETTLE_WITHIN_MS, () => this.#startSettling());
    }
  }

  /** Writes the settlements that wait for others to share their record. */
  settleNow(): void {
    if (this.#settlements.length > 0) this.#startSettling();
  }

  async keepProgress(progress: SavedProgress): Promise<void> {
    await this.#append(encodeRecord({ kind: 'progress', progress }), 0, () => undefined);
  }

  /** Releases an operation that every backend has or that a later one supersedes. */
  drop(operation: Operation): void {
    const held = this.#held.get(operation.id);
    if (held === undefined) return;
    this.#held.delete(operation.id);
    this.#memoryBytes -= held.bytes?.byteLength ?? 0;
    // A file that could not be deleted is deleted when the storage is opened next.
    if (operation.blob !== undefined) this.#blobs.remove(operation.blob).catch(() => undefined);
    if (this.#isReleaseDue) return;
    this.#isReleaseDue = true;
    // All operations dropped in this turn are released together.
    queueMicrotask(() => {
      this.#isReleaseDue = false;
      this.#release();
    });
  }

  /** Resolves when nothing is being written to the journal. */
  async close(): Promise<void> {
    this.settleNow();
    while (this.#settling !== undefined || this.#compacting !== undefined) {
      await Promise.allSettled([this.#settling, this.#compacting]);
    }
  }

  #hold(held: Held): void {
    this.#inOrder &&= held.sequence > this.#latestSequence;
    this.#latestSequence = Math.max(this.#latestSequence, held.sequence);
    this.#held.set(held.operation.id, held);
  }

  #startSettling(): void {
    this.#settleTimer?.cancel();
    this.#settleTimer = undefined;
    this.#isSettlingDue = true;
    this.#settling ??= this.#keepSettlements();
  }

  async #keepSettlements(): Promise<void> {
    // One turn later the settlements of this turn are in the batch.
    await Promise.resolve();
    while (this.#isSettlingDue && this.#settlements.length > 0) {
      this.#isSettlingDue = false;
      const batch = this.#settlements;
      this.#settlements = [];
      const settlements = batch.map(({ settlement }) => settlement);
      try {
        const record = encodeRecord({ kind: 'settled', settlements });
        await this.#append(record, 0, () => undefined);
      } catch {
        // Tried again with the next write; until then the operations are held.
        this.#settlements.unshift(...batch);
        break;
      }
      for (const { kept } of batch) kept();
    }
    // In the same turn as the last check: no settlement can come in between.
    this.#settling = undefined;
  }

  /** @param note called with the sequence before anything else can happen. */
  async #append(record: Buffer, size: number, note: (sequence: number) => void): Promise<void> {
    const pending: PendingAppend = {
      from: this.#journal.next,
      list: undefined,
      previous: undefined,
      next: undefined,
    };
    this.#pendingAppends.append(pending);
    try {
      note(await this.#journal.append(record));
    } catch (error) {
      if (!(error instanceof JournalFullError)) throw error;
      const limit = error.limit === 'disk' ? 'disk' : 'maxBytes';
      throw new StorageFullError(limit, size, 'the journal is full', { cause: error });
    } finally {
      this.#pendingAppends.remove(pending);
    }
  }

  /** The lowest sequence that is still needed, or may be once an append in progress is noted. */
  #bound(): number {
    let bound = Math.min(this.#journal.next, this.#keptSequence ?? Infinity);
    const { first } = this.#held;
    if (this.#inOrder) bound = Math.min(bound, first?.sequence ?? bound);
    else for (const { sequence } of this.#held.values()) bound = Math.min(bound, sequence);
    // The first append in progress began at the lowest sequence.
    return Math.min(bound, this.#pendingAppends.first?.from ?? bound);
  }

  #release(): void {
    const { first, next } = this.#journal;
    const bound = this.#bound();
    if (bound > first) this.#journal.release(bound - 1).catch(() => undefined);
    const records = next - bound;
    if (records > COMPACT_AT_RECORDS + 4 * this.#held.size && this.#compacting === undefined) {
      this.#compacting = this.#compact(next - records / 2).finally(() => {
        this.#compacting = undefined;
      });
    }
  }

  /** Rewrites the operations before `through`, so that the journal can release the records there. */
  async #compact(through: number): Promise<void> {
    for (const held of this.#held.values()) {
      if (held.sequence >= through) return;
      const { operation } = held;
      const isInRecord = operation.blob === undefined && operation.kind === 'put';
      try {
        const bytes = isInRecord ? (held.bytes ?? (await this.#read(held))) : undefined;
        // Superseded meanwhile, it must not follow its successor.
        if (this.#held.get(operation.id) !== held) continue;
        const settled = [...held.settled];
        const record: LogRecord = { kind: 'operation', operation, bytes, settled };
        await this.#append(encodeRecord(record), 0, (sequence) => {
          if (this.#held.get(operation.id) !== held) return;
          this.#held.delete(operation.id);
          held.sequence = sequence;
          this.#hold(held);
        });
      } catch {
        // There is no room: the next release tries again.
        return;
      }
    }
  }

  #fileOf(held: Held, blob: string): BodySource | Promise<BodySource> {
    const { size, key, sha256 } = held.operation;
    const damaged = (missing?: unknown): unknown => {
      // Its file was dropped with the operation.
      if (missing !== undefined && this.#held.get(held.operation.id) !== held) return missing;
      held.isDamaged = true;
      return new BodyIntegrityError(
        key,
        `the file ${blob} of its bytes is damaged or missing on this disk`,
        missing,
      );
    };
    const { blocks } = held;
    if (blocks !== undefined) return this.#blobs.source(blob, { size, blocks }, damaged);
    return this.#blobs.digest(blob, size, damaged).then((digest) => {
      if (digest.sha256 !== sha256) throw damaged();
      held.blocks = digest.blocks;
      return this.#blobs.source(blob, { size, blocks: digest.blocks }, damaged);
    });
  }

  async #read(held: Held): Promise<Uint8Array> {
    const { sequence, operation } = held;
    const [record] = await this.#journal.read(sequence, { maxRecords: 1 });
    if (record?.sequence === sequence) {
      const decoded = decodeRecord(record.payload);
      if (decoded.kind === 'operation' && decoded.operation.id === operation.id) {
        return decoded.bytes ?? new Uint8Array();
      }
    }
    throw new RangeError(`the record of operation ${operation.id} is damaged`);
  }
}
