import {
  type Emitter,
  KeyedMutex,
  createEmitter,
  integer,
  onAbort,
  parseOptions,
} from '@holdfast/foundation';
import type { AcceptedWrite } from './accept/accept-write.ts';
import { PrimaryWaits } from './accept/primary-waits.ts';
import { conflictCopyKey } from './conflicts.ts';
import {
  InvalidKeyError,
  ObjectNotFoundError,
  ObjectRefusedError,
  StorageClosedError,
} from './errors.ts';
import { safeFileName } from './files/safe-file-name.ts';
import type { Operation } from './journal/operation.ts';
import { type Body, parseBody } from './object/body.ts';
import { type OpenedStorage, openStorage } from './open-storage.ts';
import {
  type ResolvedStorageOptions,
  type StorageOptions,
  parseListOptions,
  parseStorageOptions,
  parseUploadOptions,
  parseWriteOptions,
} from './options.ts';
import { decodeCursor, encodeCursor, withPending } from './read/listing.ts';
import type { Repair } from './read/reader.ts';
import { ReadEpochs } from './read/stale-reads.ts';
import { isBehind, replicaOf } from './replication/key-replica.ts';
import { healthOf, pendingOf, statsOf, takesNoWrites } from './stats.ts';
import type {
  StorageCallOptions,
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

const deadlineShape = { deadlineMs: integer({ min: 0, max: 86_400_000, default: 10_000 }) };
const NEVER = new AbortController().signal;

class DurableStorage implements Storage {
  readonly #options: ResolvedStorageOptions;
  readonly #emitter: Emitter<StorageEvents> = createEmitter('holdfast:storage');
  readonly #primaryWaits: PrimaryWaits;
  readonly #opening: Promise<OpenedStorage>;
  readonly #counts = { accepted: 0, acceptedBytes: 0, conflicts: 0, repairs: 0, refused: 0 };
  readonly #readEpochs = new ReadEpochs();
  /** Accepts the writes of one key in the order of their calls. */
  readonly #keyOrder = new KeyedMutex();
  #opened: OpenedStorage | undefined;
  #closed: Promise<void> | undefined;
  readonly on: Storage['on'] = this.#emitter.on;

  constructor(options: ResolvedStorageOptions) {
    this.#options = options;
    this.#primaryWaits = new PrimaryWaits(options.clock);
    this.#followEvents();
    this.#opening = this.#open();
    // Every call rejects with the failure to open; nobody may have called yet.
    this.#opening.catch(() => undefined);
  }

  async ready(): Promise<void> {
    await this.#opening;
  }

  async upload(path: string, body: Body, options?: UploadOptions): Promise<Stored> {
    const attributes = parseUploadOptions(options);
    const { signal, acknowledgeWithinMs } = attributes;
    this.#check('upload', path, signal);
    const parsed = parseBody(path, body);
    const { acceptor } = this.#opened ?? (await this.#opening);
    const operation = await this.#accept(path, signal, () =>
      acceptor.put(path, parsed, attributes, signal),
    );
    return this.#acknowledge(operation, acknowledgeWithinMs, signal);
  }

  async remove(path: string, options?: WriteOptions): Promise<Stored> {
    const { signal, acknowledgeWithinMs } = parseWriteOptions('remove', options);
    this.#check('remove', path, signal);
    const { acceptor } = await this.#opening;
    const operation = await this.#accept(path, signal, () => acceptor.remove(path));
    return this.#acknowledge(operation, acknowledgeWithinMs, signal);
  }

  async download(path: string, options?: StorageCallOptions): Promise<Download> {
    const { signal = NEVER } = parseWriteOptions('download', options);
    this.#check('download', path, signal);
    const { reader } = await this.#opening;
    const { download, repair } = await reader.download(path, signal);
    if (repair !== undefined) void this.#repair(download, repair);
    return download;
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
    const { reader, replicator } = await this.#opening;
    const start = cursor === undefined ? undefined : decodeCursor(cursor);
    const tried = `list of ${JSON.stringify(prefix)}`;
    const { value: page, writer } = await reader.first(tried, start?.from, signal, (backend) =>
      backend.list(prefix, { signal, limit, ...(start !== undefined && { cursor: start.cursor }) }),
    );
    const from = writer.backend.name;
    const range = { prefix, after: start?.after };
    const objects = withPending(page, range, replicator.pendingKeys.values(), (writes) =>
      isBehind(writes, writer),
    );
    const last = page.objects.at(-1);
    if (page.cursor === undefined || last === undefined) return { objects, from };
    return { objects, from, cursor: encodeCursor({ from, cursor: page.cursor, after: last.key }) };
  }

  pending(): PendingWrite[] {
    return pendingOf(this.#opened?.replicator);
  }

  async discard(operationId: string): Promise<boolean> {
    const { replicator } = await this.#opening;
    return replicator.discard(operationId);
  }

  async flush(options: { deadlineMs: number; signal?: AbortSignal }): Promise<number> {
    const { signal, ...given } = options;
    const { deadlineMs } = parseOptions('flush', deadlineShape, given);
    signal?.throwIfAborted();
    const { replicator } = await this.#opening;
    const over = new AbortController();
    const end = (): void => over.abort();
    const timer = this.#options.clock.schedule(deadlineMs, end);
    const stopListening = onAbort(signal, end);
    await replicator.idle(over.signal);
    timer.cancel();
    stopListening();
    signal?.throwIfAborted();
    return this.pending().length;
  }

  getStats(): StorageStats {
    const { replicator, reader, local, budget } = this.#opened ?? {};
    return {
      ...this.#counts,
      ...statsOf(replicator),
      pendingBytes: budget?.bytes ?? 0,
      downloads: { ...reader?.counts },
      localCopies: local?.stats ?? { entries: 0, bytes: 0 },
    };
  }

  health(): StorageHealth {
    return healthOf(this.#opened?.replicator, this.#options.clock.epochMs());
  }

  close(options?: { deadlineMs?: number }): Promise<void> {
    const { deadlineMs } = parseOptions('close', deadlineShape, options);
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #followEvents(): void {
    const [primary] = this.#options.backends;
    this.#emitter.on('refused', () => void (this.#counts.refused += 1));
    this.#emitter.on('conflict', ({ path, resolution }) => {
      this.#counts.conflicts += 1;
      if (resolution !== 'ours') this.#opened?.local?.forget(path);
    });
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
    for (const backend of this.#options.backends) {
      const permitted = backend.refuseKey(path);
      if (permitted !== undefined) {
        throw new InvalidKeyError(tried, path, permitted, backend.name);
      }
    }
  }

  async #describe(
    tried: string,
    path: string,
    options: StorageCallOptions | undefined,
  ): Promise<ObjectInfo | undefined> {
    const { signal = NEVER } = parseWriteOptions(tried, options);
    this.#check(tried, path, signal);
    const { reader } = await this.#opening;
    return reader.describe(tried, path, signal);
  }

  /** Makes a write durable and hands it to the replicator, before the next write of the key begins. */
  #accept(
    key: string,
    signal: AbortSignal | undefined,
    makeDurable: () => Promise<AcceptedWrite>,
    isRepair = false,
  ): Promise<Operation> {
    return this.#keyOrder.run(key, async () => {
      signal?.throwIfAborted();
      const { operation, bytes } = await makeDurable();
      const { replicator, local } = this.#opened ?? {};
      this.#counts.accepted += 1;
      this.#counts.acceptedBytes += operation.size;
      this.#readEpochs.invalidate(operation.key);
      replicator?.accept(operation, isRepair);
      const { sha256, contentType, metadata } = operation;
      if (operation.kind === 'remove') local?.forget(key);
      else local?.replace({ key, sha256, contentType, metadata }, bytes);
      return operation;
    });
  }

  async #acknowledge(
    operation: Operation,
    withinMs = this.#options.acknowledgeWithinMs,
    signal?: AbortSignal,
  ): Promise<Stored> {
    const { replicator } = this.#opened ?? (await this.#opening);
    const [primary] = replicator.writers;
    const isSettled = (): boolean => {
      const writes = replicator.pendingKeys.get(operation.key);
      if (writes === undefined || primary === undefined) return true;
      return replicaOf(writes, primary).settledGeneration >= operation.generation;
    };
    const { key: path, id: operationId } = operation;
    const mayWait = withinMs > 0 && this.#closed === undefined;
    if (!isSettled() && mayWait && primary?.acceptsImmediately(operation) === true) {
      const result = await this.#primaryWaits.wait(operation, withinMs, signal);
      if (result.kind === 'refused') {
        replicator.withdraw(operation);
        throw new ObjectRefusedError(path, primary.backend.name, result.failure);
      }
    }
    if (isSettled()) return { path, stored: 'primary', fallback: false, operationId };
    const isLocal = replicator.writers.every((writer) => takesNoWrites(writer));
    return { path, stored: isLocal ? 'local' : 'queued', fallback: true, operationId };
  }

  /** Accepts the bytes of a write that lost a conflict, under a key of their own. */
  async #keepConflictCopy(operation: Operation): Promise<void> {
    const { acceptor, log } = await this.#opening;
    const { key, id } = operation;
    const body = { open: async () => (await log.body(operation)).open() };
    const copyKey = conflictCopyKey(key, id);
    const fits = this.#options.backends.every((one) => one.refuseKey(copyKey) === undefined);
    const path = fits ? copyKey : conflictCopyKey(safeFileName('', key), id);
    await this.#accept(path, undefined, () => acceptor.put(path, body, operation, undefined));
  }

  /** Writes good bytes back, unless a write is accepted since they were read. */
  async #repair(download: Download, { backend, bytes, epoch }: Repair): Promise<void> {
    const { path, contentType, metadata } = download;
    const { signal } = epoch;
    const { maxAgeSeconds } = parseUploadOptions(undefined);
    const attributes = { contentType, maxAgeSeconds, metadata };
    try {
      const { acceptor } = await this.#opening;
      if (this.#closed !== undefined) return;
      const put = () => acceptor.put(path, { bytes }, attributes, signal);
      await this.#accept(path, signal, put, true);
      this.#counts.repairs += 1;
      this.#emitter.emit('repair', { backend, path, atMs: this.#options.clock.now() });
    } catch {
      // The next read finds the damage again; a superseded object needs no repair.
    } finally {
      epoch.end();
    }
  }

  async #close(deadlineMs: number): Promise<void> {
    const opened = await this.#opening.catch(() => undefined);
    if (opened === undefined) return;
    const giveUp = new AbortController();
    const timer = this.#options.clock.schedule(deadlineMs, () =>
      giveUp.abort(new StorageClosedError('close')),
    );
    this.#primaryWaits.releaseAll();
    await opened.replicator.close(giveUp.signal);
    timer.cancel();
    await opened.local?.close();
    await opened.log.close();
    await opened.journal.close();
  }
}
