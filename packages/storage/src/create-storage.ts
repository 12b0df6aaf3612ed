import { type Emitter, createEmitter, integer, parseOptions } from '@holdfast/foundation';
import { PrimaryWaits } from './accept/primary-waits.ts';
import { type Body, parseBody } from './object/body.ts';
import { conflictCopyKey, resolveConflict } from './conflicts.ts';
import type { BackendWriter } from './replication/backend-writer.ts';
import { safeFileName } from './files/safe-file-name.ts';
import { Replicator } from './replication/replicator.ts';
import { replicaOf } from './replication/key-replica.ts';
import {
  InvalidKeyError,
  ObjectNotFoundError,
  ObjectRefusedError,
  StorageClosedError,
} from './errors.ts';
import { WriteAcceptor, type AcceptedWrite } from './accept/accept-write.ts';
import { decodeCursor, encodeCursor, withPending } from './read/listing.ts';
import { type OpenedLog, openLog } from './open-storage.ts';
import type { Operation } from './journal/operation.ts';
import {
  type StorageOptions,
  type ResolvedStorageOptions,
  parseListOptions,
  parseStorageOptions,
  parseUploadOptions,
  parseWriteOptions,
} from './options.ts';
import { type ReadEpoch, ReadEpochs } from './read/stale-reads.ts';
import { LocalCopies } from './read/local-copies.ts';
import { Reader } from './read/reader.ts';
import { healthOf, pendingOf, statsOf } from './stats.ts';
import type {
  CallOptions,
  Conflict,
  ConflictResolution,
  Download,
  ListCallOptions,
  Listing,
  ObjectInfo,
  PendingWrite,
  Storage,
  StorageEvents,
  StorageHealth,
  StorageStats,
  Stored,
  UploadOptions,
  WriteOptions,
} from './storage.ts';

/**
 * Object storage that accepts every write through an outage.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function createStorage(options: StorageOptions): Storage {
  return new DurableStorage(parseStorageOptions(options));
}

/** Everything that stands once the journal is open. */
interface Opened extends OpenedLog {
  readonly intake: WriteAcceptor;
  readonly dispatcher: Replicator;
  readonly reader: Reader;
  readonly local: LocalCopies | undefined;
}

const deadlineShape = { deadlineMs: integer({ min: 0, max: 86_400_000, default: 10_000 }) };
const NEVER = new AbortController().signal;

class DurableStorage implements Storage {
  readonly #tuning: ResolvedStorageOptions;
  readonly #announcer: Emitter<StorageEvents> = createEmitter('holdfast:storage');
  readonly #acknowledgements: PrimaryWaits;
  readonly #opening: Promise<Opened>;
  readonly #counts = { accepted: 0, acceptedBytes: 0, conflicts: 0, repairs: 0, refused: 0 };
  readonly #fences = new ReadEpochs();
  #opened: Opened | undefined;
  #closed: Promise<void> | undefined;
  readonly on: Storage['on'] = this.#announcer.on;

  constructor(tuning: ResolvedStorageOptions) {
    this.#tuning = tuning;
    this.#acknowledgements = new PrimaryWaits(tuning.clock);
    this.#announcer.on('refused', () => void (this.#counts.refused += 1));
    this.#opening = this.#open();
    // A failure to open is told to whoever calls; nobody may have yet.
    this.#opening.catch(() => undefined);
  }

  async ready(): Promise<void> {
    await this.#opening;
  }

  async upload(path: string, body: Body, options?: UploadOptions): Promise<Stored> {
    const settled = parseUploadOptions(options);
    const { signal, acknowledgeWithinMs } = settled;
    this.#check('upload', path, signal);
    const readable = parseBody(path, body);
    const { intake } = this.#opened ?? (await this.#opening);
    const operation = await intake.put(path, readable, settled, signal, (taken) =>
      this.#accept(taken),
    );
    return this.#acknowledged(operation, acknowledgeWithinMs, signal);
  }

  async remove(path: string, options?: WriteOptions): Promise<Stored> {
    const { signal, acknowledgeWithinMs } = parseWriteOptions('remove', options);
    this.#check('remove', path, signal);
    const { intake } = await this.#opening;
    const operation = await intake.remove(path, signal, (taken) => this.#accept(taken));
    return this.#acknowledged(operation, acknowledgeWithinMs, signal);
  }

  async download(path: string, options?: CallOptions): Promise<Download> {
    const { signal = NEVER } = parseWriteOptions('download', options);
    this.#check('download', path, signal);
    const { reader } = await this.#opening;
    return reader.download(path, signal);
  }

  async exists(path: string, options?: CallOptions): Promise<boolean> {
    const { signal = NEVER } = parseWriteOptions('exists', options);
    this.#check('exists', path, signal);
    const { reader } = await this.#opening;
    return (await reader.describe('exists', path, signal)) !== undefined;
  }

  async info(path: string, options?: CallOptions): Promise<ObjectInfo> {
    const { signal = NEVER } = parseWriteOptions('info', options);
    this.#check('info', path, signal);
    const { reader } = await this.#opening;
    const info = await reader.describe('info', path, signal);
    if (info === undefined) throw new ObjectNotFoundError(path, 'there is no such object');
    return info;
  }

  async list(prefix: string, options?: ListCallOptions): Promise<Listing> {
    const { signal = NEVER, limit, cursor } = parseListOptions(options);
    if (this.#closed !== undefined) throw new StorageClosedError('list');
    signal.throwIfAborted();
    const { reader, dispatcher } = await this.#opening;
    const goOn = cursor === undefined ? undefined : decodeCursor(cursor);
    const tried = `list of ${JSON.stringify(prefix)}`;
    const { value: page, from } = await reader.first(tried, goOn?.from, signal, (backend) =>
      backend.list(prefix, { signal, limit, ...(goOn !== undefined && { cursor: goOn.cursor }) }),
    );
    const channel = dispatcher.writers.find(({ backend }) => backend.name === from);
    const objects = withPending(
      page,
      { prefix, after: goOn?.after },
      dispatcher.pendingKeys.values(),
      (chain) =>
        channel !== undefined &&
        replicaOf(chain, channel).settledGeneration < chain.newest.generation,
    );
    const last = page.objects.at(-1);
    if (page.cursor === undefined || last === undefined) return { objects, from };
    return { objects, from, cursor: encodeCursor({ from, cursor: page.cursor, after: last.key }) };
  }

  pending(): PendingWrite[] {
    return pendingOf(this.#opened?.dispatcher);
  }

  async discard(operationId: string): Promise<boolean> {
    const { dispatcher } = await this.#opening;
    return dispatcher.discard(operationId);
  }

  async flush(options: { deadlineMs: number; signal?: AbortSignal }): Promise<number> {
    const { signal, ...given } = options;
    const { deadlineMs } = parseOptions('flush', deadlineShape, given);
    signal?.throwIfAborted();
    const { dispatcher } = await this.#opening;
    const over = new AbortController();
    const end = (): void => over.abort();
    const timer = this.#tuning.clock.schedule(deadlineMs, end);
    signal?.addEventListener('abort', end, { once: true });
    await dispatcher.idle(over.signal);
    timer.cancel();
    signal?.removeEventListener('abort', end);
    signal?.throwIfAborted();
    return this.pending().length;
  }

  getStats(): StorageStats {
    const { dispatcher, reader, local, budget } = this.#opened ?? {};
    return {
      ...this.#counts,
      ...statsOf(dispatcher),
      pendingBytes: budget?.bytes ?? 0,
      downloads: { ...reader?.counts },
      localCopies: local?.stats ?? { entries: 0, bytes: 0 },
    };
  }

  health(): StorageHealth {
    return healthOf(this.#opened?.dispatcher, this.#tuning.clock.epochMs());
  }

  close(options?: { deadlineMs?: number }): Promise<void> {
    const { deadlineMs } = parseOptions('close', deadlineShape, options);
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(): Promise<Opened> {
    const tuning = this.#tuning;
    const { files, clock, local: localOptions } = tuning;
    const opened = await openLog(tuning);
    const { journal, log, budget, recovered } = opened;
    const maxCopyBytes = tuning.verifyWholeBytes;
    const local =
      localOptions === undefined
        ? undefined
        : new LocalCopies(files, { ...localOptions, maxCopyBytes });
    // Copies are a help, not a promise: without them everything else stands.
    await local?.open().catch((error: unknown) => {
      process.emitWarning(`createStorage: local.directory cannot be used: ${String(error)}`);
    });
    const dispatcher = new Replicator({
      ...tuning,
      ...tuning.circuitBreaker,
      retryInitialDelayMs: tuning.retry.initialDelayMs,
      retryMaxDelayMs: tuning.retry.maxDelayMs,
      log,
      writer: journal.id,
      announcer: this.#announcer,
      resolve: (conflict) => this.#resolve(conflict, local),
      keepBeside: (operation) => this.#keepBeside(operation),
      dropped: ({ size }) => budget.release(size),
      moved: ({ newest }, lane, { index }) => {
        if (index === 0) this.#acknowledgements.notify(lane, newest);
      },
      changed: (channel) => this.#changed(channel),
    });
    const intake = new WriteAcceptor({
      ...opened,
      clock,
      inlineBytes: tuning.inlineBytes,
      minFreeBytes: tuning.journal.minFreeBytes,
      generation: recovered.generation,
    });
    const reader = new Reader({
      ...tuning,
      channels: dispatcher.writers,
      chainOf: (key) => dispatcher.pendingKeys.get(key),
      log,
      local,
      fences: this.#fences,
      repair: (backend, good, bytes, fence) => void this.#repair(backend, good, bytes, fence),
    });
    this.#opened = { ...opened, intake, dispatcher, reader, local };
    for (const remains of recovered.unfinished) dispatcher.adopt(remains);
    return this.#opened;
  }

  /** @throws StorageClosedError, InvalidKeyError, the signal's own reason */
  #check(tried: string, path: string, signal: AbortSignal | undefined): void {
    if (this.#closed !== undefined) throw new StorageClosedError(tried);
    signal?.throwIfAborted();
    for (const backend of this.#tuning.backends) {
      const permitted = backend.refuseKey(path);
      if (permitted !== undefined) {
        throw new InvalidKeyError(tried, path, permitted, backend.name);
      }
    }
  }

  #accept({ operation, bytes }: AcceptedWrite, isRepair = false): void {
    const { dispatcher, local } = this.#opened ?? {};
    this.#counts.accepted += 1;
    this.#counts.acceptedBytes += operation.size;
    this.#fences.invalidate(operation.key);
    dispatcher?.accept(operation, isRepair);
    const { key, sha256, contentType, metadata } = operation;
    if (operation.kind === 'remove') local?.forget(key);
    else local?.replace({ key, sha256, contentType, metadata }, bytes);
  }

  async #acknowledged(
    operation: Operation,
    withinMs = this.#tuning.acknowledgeWithinMs,
    signal?: AbortSignal,
  ): Promise<Stored> {
    const { dispatcher } = this.#opened ?? (await this.#opening);
    const [primary] = dispatcher.writers;
    const isSettled = (): boolean => {
      const chain = dispatcher.pendingKeys.get(operation.key);
      if (chain === undefined || primary === undefined) return true;
      return replicaOf(chain, primary).settledGeneration >= operation.generation;
    };
    const { key: path, id: operationId } = operation;
    if (!isSettled() && withinMs > 0 && primary?.isUpFor(operation) === true) {
      const known = await this.#acknowledgements.wait(operation, withinMs, signal);
      if (known.kind === 'refused') {
        dispatcher.withdraw(operation);
        throw new ObjectRefusedError(path, primary.backend.name, known.failure);
      }
    }
    if (isSettled()) return { path, stored: 'primary', fallback: false, operationId };
    const isAlone = dispatcher.writers.every(({ state }) => state === 'down' || state === 'denied');
    return { path, stored: isAlone ? 'local' : 'queued', fallback: true, operationId };
  }

  #changed({ index, state }: BackendWriter): void {
    if (index === 0 && (state === 'down' || state === 'denied'))
      this.#acknowledgements.releaseAll();
  }

  async #resolve(conflict: Conflict, local: LocalCopies | undefined): Promise<ConflictResolution> {
    const resolution = await resolveConflict(this.#tuning.conflicts, conflict);
    const { backend, path, operationId } = conflict;
    this.#counts.conflicts += 1;
    if (resolution !== 'ours') local?.forget(path);
    const atMs = this.#tuning.clock.now();
    this.#announcer.emit('conflict', { backend, path, operationId, resolution, atMs });
    return resolution;
  }

  /** Our bytes, where theirs stand under the key. */
  async #keepBeside(operation: Operation): Promise<void> {
    const { intake, log } = await this.#opening;
    const { key, id, contentType, maxAgeSeconds, metadata } = operation;
    const body = { open: async () => (await log.body(operation)).open() };
    const description = { contentType, maxAgeSeconds, metadata };
    const accepted = (taken: AcceptedWrite): void => this.#accept(taken);
    const beside = conflictCopyKey(key, id);
    const fits = this.#tuning.backends.every((one) => one.refuseKey(beside) === undefined);
    const kept = fits ? beside : conflictCopyKey(safeFileName('', key), id);
    await intake.put(kept, body, description, undefined, accepted);
  }

  /** Gives way to whatever is accepted since the bytes were read. */
  async #repair(
    backend: string,
    good: Download,
    bytes: Uint8Array,
    read: ReadEpoch,
  ): Promise<void> {
    if (read.signal.aborted) return;
    const { path, contentType, metadata } = good;
    // The one of the read ends with the read.
    const fence = this.#fences.begin(path);
    const { maxAgeSeconds } = parseUploadOptions({});
    const description = { contentType, maxAgeSeconds, metadata };
    const accepted = (taken: AcceptedWrite): void => {
      this.#accept(taken, true);
      this.#counts.repairs += 1;
      this.#announcer.emit('repair', { backend, path, atMs: this.#tuning.clock.now() });
    };
    try {
      const { intake } = await this.#opening;
      if (this.#closed === undefined) {
        await intake.put(path, { bytes }, description, fence.signal, accepted);
      }
    } catch {
      // What cannot be repaired now is found again by the next read; what was overtaken need not be.
    } finally {
      fence.end();
    }
  }

  async #close(deadlineMs: number): Promise<void> {
    const opened = await this.#opening.catch(() => undefined);
    if (opened === undefined) return;
    const giveUp = new AbortController();
    const timer = this.#tuning.clock.schedule(deadlineMs, () =>
      giveUp.abort(new StorageClosedError('close')),
    );
    this.#acknowledgements.releaseAll();
    await opened.dispatcher.close(giveUp.signal);
    timer.cancel();
    await opened.local?.close();
    await opened.log.close();
    await opened.journal.close();
  }
}
