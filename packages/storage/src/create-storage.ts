import {
  type Emitter,
  RetriedOpening,
  createEmitter,
  settlesWithin,
  withDeadline,
} from '@holdfast/foundation';
import { JournalClosedError } from '@holdfast/journal';
import { acknowledge } from './replication/acknowledge.ts';
import type { AcceptedWrite, WriteAcceptor } from './accept/accept-write.ts';
import { KeyTurns, type KeyTurn } from './accept/key-turns.ts';
import { PrimaryWaits } from './accept/primary-waits.ts';
import { conflictCopyKey } from './conflicts.ts';
import { InvalidKeyError, ObjectNotFoundError, StorageClosedError } from './errors.ts';
import type { Operation } from './journal/operation.ts';
import { type Body, parseBody } from './object/body.ts';
import { cacheControlOf, keptMaxAge } from './object/cache-control.ts';
import { type OpenedStorage, openStorage, standbyReader } from './open-storage.ts';
import {
  type ResolvedCopyOptions,
  type ResolvedStorageOptions,
  type StorageOptions,
  parseCloseDeadlineMs,
  parseCopyOptions,
  parseFlushOptions,
  parseListOptions,
  parseStorageOptions,
  parseUploadOptions,
  parseWriteOptions,
} from './options.ts';
import type { FoundBody } from './read/pending-body.ts';
import type { Repair } from './read/reader.ts';
import { StorageReads } from './read/storage-reads.ts';
import { ReadEpochs } from './read/stale-reads.ts';
import { BackendWriter } from './replication/backend-writer.ts';
import { healthOf, pendingOf, statsOf } from './stats.ts';
import { type ObjectTransfer, type TransferEnd, copyObject, moveObject } from './transfer.ts';
import {
  type CopyOptions,
  type StorageCallOptions,
  type Download,
  type ListCallOptions,
  type Listing,
  type MoveOptions,
  type ObjectInfo,
  type PendingWrite,
  type Storage,
  type StorageEvents,
  type StorageHealth,
  type StorageStats,
  type Stored,
  type UploadOptions,
  type WriteOptions,
  storageEventKinds,
} from './storage.ts';

/**
 * Object storage that accepts every write through an outage.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function createStorage(options: StorageOptions): Storage {
  return new DurableStorage(parseStorageOptions(options));
}

/** A journal that could not be opened is opened again this often, besides at each call. */
const REOPEN_MS = 1_000;
/** A frozen disk holds up no write that the journal has for longer. */
const COPY_REMOVED_WITHIN_MS = 1_000;
const NEVER = new AbortController().signal;

class DurableStorage implements Storage {
  readonly #options: ResolvedStorageOptions;
  readonly #emitter: Emitter<StorageEvents> = createEmitter('holdfast:storage', storageEventKinds);
  readonly #primaryWaits: PrimaryWaits;
  readonly #opening: RetriedOpening<OpenedStorage>;
  readonly #counts = { accepted: 0, acceptedBytes: 0, conflicts: 0, repairs: 0, refused: 0 };
  readonly #readEpochs = new ReadEpochs();
  readonly #downloads: Record<string, number> = {};
  readonly #turns = new KeyTurns();
  readonly #writers: readonly BackendWriter[];
  readonly #reads: StorageReads;
  #opened: OpenedStorage | undefined;
  #closed: Promise<void> | undefined;
  readonly on: Storage['on'] = this.#emitter.on;

  constructor(options: ResolvedStorageOptions) {
    this.#options = options;
    this.#primaryWaits = new PrimaryWaits(options.clock);
    this.#followEvents();
    const { clock } = options;
    const emitter = this.#emitter;
    this.#writers = options.backends.map(
      (backend, index) => new BackendWriter(backend, index, { ...options, emitter }),
    );
    const opening = new RetriedOpening(() => this.#open(), { clock, retryMs: REOPEN_MS });
    this.#opening = opening;
    const [writers, downloads, epochs] = [this.#writers, this.#downloads, this.#readEpochs];
    const standby = standbyReader(options, { writers, downloads, epochs });
    const { ownerStaleMs } = options.journal;
    this.#reads = new StorageReads({ clock, opening, standby, ownerStaleMs });
  }

  async ready(): Promise<void> {
    await this.#opening.get();
  }

  async upload(path: string, body: Body, options?: UploadOptions): Promise<Stored> {
    const attributes = parseUploadOptions(options);
    const { signal } = attributes;
    this.#check('upload', path, signal);
    const parsed = parseBody(path, body);
    return this.#put(this.#turns.take(path, 'write'), path, parsed, attributes);
  }

  async remove(path: string, options?: WriteOptions): Promise<Stored> {
    const { signal, acknowledgeWithinMs } = parseWriteOptions('remove', options);
    this.#check('remove', path, signal);
    const turn = this.#turns.take(path, 'write');
    const operation = await this.#accept(path, turn, signal, (acceptor) => acceptor.remove(path));
    return this.#acknowledge(operation, acknowledgeWithinMs, signal);
  }

  async copy(path: string, toPath: string, options?: CopyOptions): Promise<Stored> {
    const given = parseCopyOptions('copy', options);
    return copyObject(this.#transfer('copy', path, toPath, given));
  }

  async move(path: string, toPath: string, options?: MoveOptions): Promise<void> {
    const given = parseCopyOptions('move', options);
    await moveObject(this.#transfer('move', path, toPath, given));
  }

  async download(path: string, options?: StorageCallOptions): Promise<Download> {
    const { signal } = parseWriteOptions('download', options);
    this.#check('download', path, signal);
    return (await this.#find(path, signal)).download;
  }

  async exists(path: string, options?: StorageCallOptions): Promise<boolean> {
    return (await this.#describe('exists', path, options)) !== undefined;
  }

  async info(path: string, options?: StorageCallOptions): Promise<ObjectInfo> {
    const info = await this.#describe('info', path, options);
    if (info === undefined) throw new ObjectNotFoundError(path, 'there is no such object');
    return info;
  }

  async list(prefix: string, options?: ListCallOptions): Promise<Listing> {
    const { signal = NEVER, limit, cursor } = parseListOptions(options);
    if (this.#closed !== undefined) throw new StorageClosedError('list');
    signal.throwIfAborted();
    return this.#reads.list(prefix, { limit, cursor }, signal);
  }

  pending(): PendingWrite[] {
    return pendingOf(this.#opened?.replicator);
  }

  async discard(operationId: string): Promise<boolean> {
    const { replicator, local } = await this.#opening.get();
    const discarded = replicator.discard(operationId);
    if (discarded !== undefined) await local?.forget(discarded.key);
    return discarded !== undefined;
  }

  async flush(options?: { deadlineMs?: number; signal?: AbortSignal }): Promise<number> {
    const { signal, deadlineMs } = parseFlushOptions(options);
    const late = () => new Error('some writes are pending still');
    const idle = async (over: AbortSignal) => (await this.#opening.get()).replicator.idle(over);
    await withDeadline(this.#options.clock, deadlineMs, signal, late, idle);
    signal?.throwIfAborted();
    return this.pending().length;
  }

  getStats(): StorageStats {
    const counted = { ...this.#counts, downloads: { ...this.#downloads } };
    return statsOf(this.#writers, this.#opened, counted);
  }

  health(): StorageHealth {
    const { replicator, journal } = this.#opened ?? {};
    const failure = (this.#closed && new StorageClosedError('upload')) ?? this.#opening.failure;
    const epochMs = this.#options.clock.epochMs();
    return healthOf(this.#writers, replicator, epochMs, { failure, journal });
  }

  close(options?: { deadlineMs?: number }): Promise<void> {
    try {
      const deadlineMs = parseCloseDeadlineMs(options);
      return (this.#closed ??= this.#close(deadlineMs));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #followEvents(): void {
    const [primary] = this.#options.backends;
    this.#emitter.on('refused', () => void (this.#counts.refused += 1));
    this.#emitter.on('conflict', () => void (this.#counts.conflicts += 1));
    if (this.#options.local !== undefined) {
      this.#emitter.on('settled', ({ backend, path }) => {
        if (backend === primary?.name) this.#opened?.local?.arrived(path);
      });
    }
    this.#emitter.on('backend', ({ backend, to }) => {
      const isAway = to === 'down' || to === 'denied';
      if (isAway && backend === primary?.name) this.#primaryWaits.releaseAll();
    });
  }

  async #open(): Promise<OpenedStorage> {
    const opened = await openStorage(this.#options, {
      emitter: this.#emitter,
      primaryWaits: this.#primaryWaits,
      epochs: this.#readEpochs,
      downloads: this.#downloads,
      writers: this.#writers,
      keepConflictCopy: (operation) => this.#keepConflictCopy(operation),
    });
    this.#opened = opened;
    for (const writes of opened.recovered.unfinished) opened.replicator.adopt(writes);
    return opened;
  }

  /** @throws StorageClosedError, InvalidKeyError, the signal's own reason */
  #check(tried: string, path: string, signal: AbortSignal | undefined): void {
    if (this.#closed !== undefined) throw new StorageClosedError(tried);
    signal?.throwIfAborted();
    for (const { backend } of this.#writers) {
      const permitted = backend.refuseKey(path);
      if (permitted !== undefined) throw new InvalidKeyError(tried, path, permitted, backend.name);
    }
  }

  async #describe(
    tried: string,
    path: string,
    options: StorageCallOptions | undefined,
  ): Promise<ObjectInfo | undefined> {
    const { signal = NEVER } = parseWriteOptions(tried, options);
    this.#check(tried, path, signal);
    const reader = await this.#reads.reader(signal);
    return reader.describe(tried, path, signal);
  }

  async #find(path: string, signal: AbortSignal = NEVER): Promise<FoundBody> {
    const reader = await this.#reads.reader(signal);
    const { repair, ...found } = await reader.download(path, signal);
    if (repair !== undefined) void this.#repair(found.download, repair);
    return found;
  }

  /** Accepts an object in its turn, then waits for the primary. */
  async #put(
    turn: KeyTurn,
    path: string,
    body: ReturnType<typeof parseBody>,
    attributes: ReturnType<typeof parseUploadOptions>,
  ): Promise<Stored> {
    const { signal, acknowledgeWithinMs } = attributes;
    const operation = await this.#accept(path, turn, signal, (acceptor) =>
      acceptor.put(path, body, attributes, signal),
    );
    return this.#acknowledge(operation, acknowledgeWithinMs, signal);
  }

  #transfer(
    call: ObjectTransfer['call'],
    path: string,
    toPath: string,
    { target = this, ...given }: ResolvedCopyOptions,
  ): ObjectTransfer {
    const to = target instanceof DurableStorage ? target.#end : undefined;
    return { call, path, toPath, target, from: this.#end, to, ...given };
  }

  /** What copies and moves do with this storage. */
  get #end(): TransferEnd {
    return {
      turns: this.#turns,
      epochs: this.#readEpochs,
      check: (...call) => this.#check(...call),
      info: (path, options) => this.info(path, options),
      find: (path, signal) => this.#find(path, signal),
      put: (turn, path, open, options) =>
        this.#put(turn, path, { open }, parseUploadOptions(options)),
      remove: (path, turn, signal, onlyOurs) =>
        this.#accept(path, turn, signal, (acceptor) => acceptor.remove(path, onlyOurs)),
      acknowledge: (...call) => this.#acknowledge(...call),
    };
  }

  /** Makes a write durable in its turn and hands it to the replicator, before the next write of the key begins. */
  async #accept(
    key: string,
    turn: KeyTurn,
    signal: AbortSignal | undefined,
    makeDurable: (acceptor: WriteAcceptor) => Promise<AcceptedWrite>,
    isRepair = false,
  ): Promise<Operation> {
    let copied: Promise<void> | undefined;
    let accepted: Operation;
    // Calls that wait for their turn share an attempt to open the journal.
    const opening = this.#opened ?? this.#opening.get();
    if (opening instanceof Promise) opening.catch(() => undefined);
    try {
      const begun = turn.begin(signal);
      if (begun !== undefined) await begun;
      const { acceptor, replicator, local } = opening instanceof Promise ? await opening : opening;
      signal?.throwIfAborted();
      const { operation, bytes } = await makeDurable(acceptor).catch((error: unknown) => {
        // It was closed while the write was on its way to the disk.
        throw error instanceof JournalClosedError ? new StorageClosedError('the write') : error;
      });
      this.#counts.accepted += 1;
      this.#counts.acceptedBytes += operation.size;
      this.#readEpochs.invalidate(operation.key);
      replicator.accept(operation, isRepair);
      const { sha256, contentType, maxAgeSeconds, metadata } = operation;
      const cacheControl = cacheControlOf(maxAgeSeconds);
      const head = { key, sha256, contentType, cacheControl, metadata };
      copied = local?.replace(head, operation.kind === 'put' ? bytes : undefined);
      accepted = operation;
    } finally {
      turn.end();
    }
    // Killed from here on, the next process must not find the copy of what was there before.
    if (copied !== undefined) {
      await settlesWithin(this.#options.clock, COPY_REMOVED_WITHIN_MS, copied);
    }
    return accepted;
  }

  async #acknowledge(
    operation: Operation,
    withinMs = this.#options.acknowledgeWithinMs,
    signal?: AbortSignal,
  ): Promise<Stored> {
    const { replicator, local } = this.#opened ?? (await this.#opening.get());
    const primaryWaits = this.#closed === undefined ? this.#primaryWaits : undefined;
    return acknowledge(operation, withinMs, { replicator, local, primaryWaits, signal });
  }

  /** Accepts the bytes of a write that lost a conflict, under a key of their own. */
  async #keepConflictCopy(operation: Operation): Promise<void> {
    const { log } = await this.#opening.get();
    const body = { open: async () => (await log.body(operation)).open() };
    const path = conflictCopyKey(operation, this.#options.backends);
    await this.#accept(path, this.#turns.take(path, 'write'), undefined, (acceptor) =>
      acceptor.put(path, body, operation, undefined),
    );
  }

  /** Writes good bytes back, unless a write is accepted since they were read. */
  async #repair(download: Download, { backend, bytes, epoch }: Repair): Promise<void> {
    const { path, contentType, cacheControl, metadata } = download;
    const { signal } = epoch;
    const { maxAgeSeconds } = { ...parseUploadOptions(undefined), ...keptMaxAge(cacheControl) };
    const attributes = { contentType, maxAgeSeconds, metadata };
    try {
      if (this.#closed !== undefined) return;
      const put = (acceptor: WriteAcceptor) => acceptor.put(path, { bytes }, attributes, signal);
      await this.#accept(path, this.#turns.take(path, 'write'), signal, put, true);
      this.#counts.repairs += 1;
      this.#emitter.emit('repair', { backend, path, atMs: this.#options.clock.now() });
    } catch {
      // The next read finds the damage again; a superseded object needs no repair.
    } finally {
      epoch.end();
    }
  }

  async #close(deadlineMs: number): Promise<void> {
    const opened = await this.#opening.close();
    for (const writer of this.#writers) writer.close();
    if (opened === undefined) return;
    const giveUp = new AbortController();
    const timer = this.#options.clock.schedule(deadlineMs, () =>
      giveUp.abort(new StorageClosedError('close')),
    );
    this.#primaryWaits.releaseAll();
    await opened.replicator.close(giveUp.signal);
    timer.cancel();
    opened.acceptor.close();
    await opened.local?.close();
    await opened.log.close();
    await opened.journal.close();
  }
}
