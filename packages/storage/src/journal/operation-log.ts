import { createHash } from 'node:crypto';
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
import { StorageFullError } from '../errors.ts';
import type { Operation } from './operation.ts';
import type { Blobs } from './blobs.ts';
import {
  type LogRecord,
  type SavedProgress,
  type Settlement,
  decodeRecord,
  encodeRecord,
} from './record.ts';

/** An operation in the journal. */
interface Held {
  readonly operation: Operation;
  sequence: number;
  /** Its bytes, while there is room for them in memory. */
  bytes: Uint8Array | undefined;
  /** Whether the file of its body is known to be what was written: not yet what another process wrote. */
  isVerified: boolean;
  /** Backends that have it; for when its record is written anew. */
  readonly settled: Set<string>;
}

/** An append under way: its record comes to stand at `from` or behind. */
interface PendingAppend extends ListNode {
  readonly from: number;
}

/** Records that say nothing any more before the old ones among them are written anew. */
const COMPACT_AT_RECORDS = 2_000;
/** What backends have is noted for so many operations at once, or after so long. */
const SETTLE_AT = 64;
const SETTLE_WITHIN_MS = 20;

/**
 * What was accepted and is not yet on every backend, in a journal: operations, and how far each backend is.
 * The journal lets go of its records in their order only, so that an operation that waits for long is
 * written anew at the end when too many records stand behind it.
 */
export class OperationLog {
  readonly #journal: Journal;
  readonly #blobs: Blobs;
  readonly #clock: Clock;
  readonly #maxMemoryBytes: number;
  /** By operation id, in the order of their sequences. */
  readonly #held = new OrderedMap<Held>();
  /** Where the records that are being appended may come to stand, at the lowest. */
  readonly #pendingAppends = new LinkedList<PendingAppend>();
  #inOrder = true;
  #latestSequence = 0;
  #settlements: { readonly settlement: Settlement; readonly kept: () => void }[] = [];
  #settleTimer: Timer | undefined;
  #isSettlingDue = false;
  #settling: Promise<void> | undefined;
  #isReleaseDue = false;
  #compacting: Promise<void> | undefined;
  #memoryBytes = 0;

  constructor(journal: Journal, blobs: Blobs, options: { clock: Clock; maxMemoryBytes: number }) {
    this.#journal = journal;
    this.#blobs = blobs;
    this.#clock = options.clock;
    this.#maxMemoryBytes = options.maxMemoryBytes;
  }

  /** Takes over what the journal held when it was opened. */
  adopt(operation: Operation, sequence: number, settled: ReadonlySet<string>): void {
    const isVerified = operation.blob === undefined;
    this.#hold({ operation, sequence, bytes: undefined, isVerified, settled: new Set(settled) });
  }

  /**
   * Resolves once the operation is durable.
   * @throws StorageFullError, and the journal's own errors
   */
  append(operation: Operation, bytes: Uint8Array | undefined): Promise<void> {
    const record = encodeRecord({ kind: 'operation', operation, bytes, settled: [] });
    // What waits to be noted shares the write.
    if (this.#settlements.length > 0) this.#startSettling();
    return this.#append(record, operation.size, (sequence) => {
      const hasRoom = this.#memoryBytes + operation.size <= this.#maxMemoryBytes;
      const kept =
        bytes !== undefined && hasRoom
          ? record.subarray(record.byteLength - bytes.byteLength)
          : undefined;
      this.#memoryBytes += kept?.byteLength ?? 0;
      this.#hold({ operation, sequence, bytes: kept, isVerified: true, settled: new Set() });
    });
  }

  /** The bytes of an operation that is still held; a promise only when the journal has to be read. */
  body(operation: Operation): BodySource | Promise<BodySource> {
    if (operation.blob !== undefined) return this.#blobs.source(operation.blob, operation.size);
    const held = this.#held.get(operation.id);
    if (held === undefined) throw new RangeError(`operation ${operation.id} is no longer held`);
    return held.bytes === undefined ? this.#read(held).then(bytesSource) : bytesSource(held.bytes);
  }

  /**
   * The same for who sends them: a file that an earlier process wrote is held against its checksum once.
   * @throws RangeError when it is not what was written
   */
  bodyToSend(operation: Operation): BodySource | Promise<BodySource> {
    const held = this.#held.get(operation.id);
    return held === undefined || held.isVerified ? this.body(operation) : this.#verifiedBody(held);
  }

  /**
   * Notes that a backend has it, together with others; `kept` is called once that is durable. One that is
   * lost costs the next process a look at the backend.
   * @param isLast nothing is under way that others could be noted with: at once then.
   */
  settle(operation: Operation, backend: string, isLast: boolean, kept: () => void): void {
    this.#held.get(operation.id)?.settled.add(backend);
    const { key, generation } = operation;
    this.#settlements.push({ settlement: { backend, key, generation }, kept });
    if (isLast || this.#settlements.length >= SETTLE_AT) this.#startSettling();
    else {
      this.#settleTimer ??= this.#clock.schedule(SETTLE_WITHIN_MS, () => this.#startSettling());
    }
  }

  async keepProgress(progress: SavedProgress): Promise<void> {
    await this.#append(encodeRecord({ kind: 'progress', progress }), 0, () => undefined);
  }

  /** Nobody needs it any more: every backend has it, or a later one has taken its place. */
  drop(operation: Operation): void {
    const held = this.#held.get(operation.id);
    if (held === undefined) return;
    this.#held.delete(operation.id);
    this.#memoryBytes -= held.bytes?.byteLength ?? 0;
    // A name that could not be deleted is found and deleted by the next opening.
    if (operation.blob !== undefined) this.#blobs.remove(operation.blob).catch(() => undefined);
    if (this.#isReleaseDue) return;
    this.#isReleaseDue = true;
    // Those of the same turn are let go of together.
    queueMicrotask(() => {
      this.#isReleaseDue = false;
      this.#release();
    });
  }

  /** Resolves when nothing is on its way to the journal. */
  async close(): Promise<void> {
    if (this.#settlements.length > 0) this.#startSettling();
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
    // One turn later those of the same turn are in.
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
        // Tried again with the next write; until then the operations stay held.
        this.#settlements.unshift(...batch);
        break;
      }
      for (const { kept } of batch) kept();
    }
    // In the same turn: nothing can fall between the last look and this.
    this.#settling = undefined;
  }

  /** @param note is told the sequence before anything else can happen. */
  async #append(record: Buffer, size: number, note: (sequence: number) => void): Promise<void> {
    const floor: PendingAppend = {
      from: this.#journal.next,
      list: undefined,
      previous: undefined,
      next: undefined,
    };
    this.#pendingAppends.append(floor);
    try {
      note(await this.#journal.append(record));
    } catch (error) {
      if (!(error instanceof JournalFullError)) throw error;
      const limit = error.limit === 'disk' ? 'disk' : 'maxBytes';
      throw new StorageFullError(limit, size, 'the journal is full', { cause: error });
    } finally {
      this.#pendingAppends.remove(floor);
    }
  }

  /** The lowest sequence that is still needed, or may be once an append under way is noted. */
  #bound(): number {
    let bound = this.#journal.next;
    const { first } = this.#held;
    if (this.#inOrder) bound = Math.min(bound, first?.sequence ?? bound);
    else for (const { sequence } of this.#held.values()) bound = Math.min(bound, sequence);
    // The first of them began when the journal was shortest.
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

  /** Writes the operations that stand before `through` anew, so that the rest can be let go of. */
  async #compact(through: number): Promise<void> {
    for (const held of this.#held.values()) {
      if (held.sequence >= through) return;
      const { operation } = held;
      const isInRecord = operation.blob === undefined && operation.kind === 'put';
      try {
        const bytes = isInRecord ? (held.bytes ?? (await this.#read(held))) : undefined;
        // Overtaken meanwhile, it must not come to stand behind its successor.
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
        // There is no room: it stays where it is, and is tried again with the next release.
        return;
      }
    }
  }

  async #verifiedBody(held: Held): Promise<BodySource> {
    const { operation } = held;
    const source = await this.body(operation);
    const hash = createHash('sha256');
    for await (const chunk of source.open()) hash.update(chunk);
    if (hash.digest('hex') !== operation.sha256) {
      throw new RangeError(`the file of operation ${operation.id} is damaged`);
    }
    held.isVerified = true;
    return source;
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
