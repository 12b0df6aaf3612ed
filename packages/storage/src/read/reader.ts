import { createHash } from 'node:crypto';
import {
  type StorageFailure,
  type BackendResult,
  type ListOptions,
  type ObjectContent,
  type ObjectHead,
  type ObjectPage,
  type StorageBackend,
  fail,
} from '../backend.ts';
import { ObjectNotFoundError, StorageDeniedError, StorageUnavailableError } from '../errors.ts';
import { collect } from '../object/body.ts';
import { cacheControlOf } from '../object/cache-control.ts';
import type { BackendWriter } from '../replication/backend-writer.ts';
import { type KeyWrites, isBehind } from '../replication/key-replica.ts';
import type { Download, ObjectInfo } from '../storage.ts';
import { BackendReads, type BackendReadsDeps } from './backend-reads.ts';
import {
  type ResumingBodyOptions,
  bufferedDownload,
  infoOf,
  resumingBody,
  toDownload,
} from './download-body.ts';
import type { CopyHead, LocalCopies } from './local-copies.ts';
import { type FoundBody, type PendingWrites, pendingBody } from './pending-body.ts';
import type { ShownObjects } from './shown-objects.ts';
import type { ReadEpoch } from './stale-reads.ts';

interface ReaderDeps extends BackendReadsDeps {
  /** The writes that wait here; without them the backends alone are read. */
  readonly pending: PendingWrites | undefined;
  readonly local: LocalCopies | undefined;
  readonly verifyWholeBytes: number;
  readonly unreadBodyTimeoutMs: number;
  readonly shown: ShownObjects;
  /** The downloads by their source. */
  readonly counts: Record<string, number>;
}

/** A backend has damaged bytes of an object whose good bytes were read elsewhere. */
export interface Repair {
  readonly backend: string;
  readonly bytes: Uint8Array;
  /** Ended by whoever repairs. */
  readonly epoch: ReadEpoch;
}

interface Found extends FoundBody {
  readonly repair?: Repair;
}

interface Attempt {
  readonly from: string;
  readonly failure: StorageFailure;
}

/** The result of reading an object from one backend. */
type ReadResult =
  | {
      readonly kind: 'ok';
      readonly download: Download;
      /** The whole body, if it was read and verified. */
      readonly bytes: Uint8Array | undefined;
      readonly operationId: string;
    }
  | { readonly kind: 'corrupt'; readonly failure: StorageFailure; readonly operationId: string }
  | { readonly kind: 'failed'; readonly failure: StorageFailure };

/** How often a body is read whose checksum does not match. */
const READS = 2;

/** Finds the latest bytes that can be reached. */
export class ObjectReader {
  readonly #deps: ReaderDeps;
  readonly #reads: BackendReads;

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
    this.#reads = new BackendReads(deps);
  }

  /** @throws ObjectNotFoundError, StorageDeniedError, StorageUnavailableError, the signal's own reason */
  async download(key: string, signal: AbortSignal): Promise<Found> {
    const epoch = this.#deps.shown.begin(key);
    try {
      const found = await this.#reads.waiting(signal, () => this.#find(key, signal, epoch));
      const { from } = found.download;
      const { counts } = this.#deps;
      counts[from] = (counts[from] ?? 0) + 1;
      return found;
    } finally {
      epoch.end();
    }
  }

  async #find(key: string, signal: AbortSignal, epoch: ReadEpoch): Promise<Found> {
    const again = async () => (await this.#find(key, signal, epoch)).download.body;
    const attempts: Attempt[] = [];
    const corrupt: { backend: string; operationId: string }[] = [];
    for (const writer of this.#deps.writers) {
      const backend = writer.backend.name;
      const { pending } = this.#deps;
      const writes = pending?.keys.get(key);
      if (pending !== undefined && writes !== undefined) {
        const isLatest = await this.#isLatest(pending, writes, writer, signal);
        const body = this.#bodyOptions(signal);
        const found = isLatest ? await pendingBody(pending, writes, again, body) : undefined;
        if (found !== undefined) return found;
      }
      const read = await this.#read(key, writer, signal, epoch);
      if (read.kind === 'ok') {
        const { download, bytes, operationId } = read;
        const damaged = corrupt.find((one) => one.operationId === operationId);
        if (bytes === undefined || damaged === undefined || epoch.signal.aborted) {
          return { download, isInMemory: bytes !== undefined };
        }
        const repair = { backend: damaged.backend, bytes, epoch: this.#deps.shown.begin(key) };
        return { download, isInMemory: true, repair };
      }
      const { failure } = read;
      if (read.kind === 'corrupt') corrupt.push({ backend, operationId: read.operationId });
      if (attempts.length === 0 && this.#isAuthoritative(failure, writer)) {
        await this.#deps.shown.read(epoch, backend, undefined, signal);
        throw new ObjectNotFoundError(key, `${backend} has no such object`);
      }
      attempts.push({ from: backend, failure });
    }
    const copy = await this.#localCopy(key);
    if (copy !== undefined) {
      return { download: bufferedDownload('local', copy.head, copy.bytes), isInMemory: true };
    }
    if (attempts.length > 0 && attempts.every(isAbsent)) {
      throw new ObjectNotFoundError(key, 'no backend has such an object');
    }
    throw failedRead(`download of ${JSON.stringify(key)}`, attempts);
  }

  /**
   * Resolves with the description of an object; with `undefined` when there is none.
   * @throws StorageDeniedError, StorageUnavailableError, the signal's own reason
   */
  async describe(tried: string, key: string, signal: AbortSignal): Promise<ObjectInfo | undefined> {
    const epoch = this.#deps.shown.begin(key);
    try {
      return await this.#reads.waiting(signal, () => this.#describe(tried, key, signal, epoch));
    } finally {
      epoch.end();
    }
  }

  async #describe(
    tried: string,
    key: string,
    signal: AbortSignal,
    epoch: ReadEpoch,
  ): Promise<ObjectInfo | undefined> {
    const attempts: Attempt[] = [];
    for (const writer of this.#deps.writers) {
      const { pending } = this.#deps;
      const writes = pending?.keys.get(key);
      const isLatest =
        pending !== undefined &&
        writes !== undefined &&
        (await this.#isLatest(pending, writes, writer, signal));
      if (isLatest) {
        const { kind, size, contentType, maxAgeSeconds, metadata, acceptedAtEpochMs } =
          writes.newest;
        if (kind === 'remove') return undefined;
        const lastModifiedEpochMs = acceptedAtEpochMs;
        const cacheControl = cacheControlOf(maxAgeSeconds);
        const details = { size, contentType, cacheControl, metadata, lastModifiedEpochMs };
        return { path: key, from: 'pending', ...details };
      }
      const from = writer.backend.name;
      const result = await this.#reads.call(writer, signal, (backend) =>
        backend.head(key, { signal }),
      );
      signal.throwIfAborted();
      if (result.kind === 'ok') {
        await this.#deps.shown.read(epoch, from, result.value, signal);
        return infoOf(from, result.value);
      }
      if (attempts.length === 0 && this.#isAuthoritative(result, writer)) {
        await this.#deps.shown.read(epoch, from, undefined, signal);
        return undefined;
      }
      attempts.push({ from, failure: result });
    }
    const copy = await this.#localCopy(key);
    if (copy !== undefined) return infoOf('local', copy.head);
    if (attempts.every(isAbsent)) return undefined;
    throw failedRead(`${tried} of ${JSON.stringify(key)}`, attempts);
  }

  /**
   * Resolves with the first successful result of a call, and the backend that gave it.
   * @param only the one backend to call.
   * @throws StorageDeniedError, StorageUnavailableError, the signal's own reason
   */
  async #first<T>(
    tried: string,
    only: string | undefined,
    signal: AbortSignal,
    call: (backend: StorageBackend) => Promise<BackendResult<T>>,
  ): Promise<{ value: T; writer: BackendWriter }> {
    const attempts: Attempt[] = [];
    for (const writer of this.#deps.writers) {
      const from = writer.backend.name;
      if (only !== undefined && from !== only) continue;
      const result = await this.#reads.call(writer, signal, call);
      signal.throwIfAborted();
      if (result.kind === 'ok') return { value: result.value, writer };
      attempts.push({ from, failure: result });
    }
    throw failedRead(tried, attempts);
  }

  /** Resolves with a page of a listing, and the backend that gave it. */
  async list(
    prefix: string,
    {
      only,
      after,
      ...options
    }: ListOptions & { only?: string | undefined; after?: string | undefined },
  ): Promise<{ value: ObjectPage; writer: BackendWriter }> {
    const { shown } = this.#deps;
    const { signal } = options;
    const { order } = shown;
    const tried = `list of ${JSON.stringify(prefix)}`;
    const read = (backend: StorageBackend) => backend.list(prefix, options);
    const listed = await this.#reads.waiting(signal, () => this.#first(tried, only, signal, read));
    const { value, writer } = listed;
    if (writer.index === 0) {
      const provesAbsence = this.#isPrimaryUp(writer);
      await shown.listed(value, { prefix, after, since: order, provesAbsence }, signal);
    }
    return listed;
  }

  /**
   * Reads an object from one backend. Bytes that do not match their checksum are read once more: a write
   * between two responses, or a cache on the way, may be the cause.
   */
  async #read(
    key: string,
    writer: BackendWriter,
    signal: AbortSignal,
    epoch: ReadEpoch,
  ): Promise<ReadResult> {
    for (let attempt = 1; ; attempt += 1) {
      const result = await this.#reads.call(writer, signal, (backend) =>
        backend.get(key, { signal }),
      );
      signal.throwIfAborted();
      if (result.kind !== 'ok') return { kind: 'failed', failure: result };
      const read = await this.#readBody(writer, result.value, signal, epoch);
      signal.throwIfAborted();
      if (read.kind !== 'corrupt' || attempt === READS) return read;
    }
  }

  /**
   * Only the first backend can say that an object does not exist, and only while it is up: the others never
   * had what other writers wrote to the first, and one that has just come back may lack writes.
   */
  #isAuthoritative(failure: StorageFailure, writer: BackendWriter): boolean {
    return (
      failure.kind === 'notFound' && failure.code !== 'NoSuchBucket' && this.#isPrimaryUp(writer)
    );
  }

  #isPrimaryUp(writer: BackendWriter): boolean {
    return writer.index === 0 && this.#reads.isUp(writer);
  }

  /**
   * Whether the newest write of a key that waits here is later than what the backend has.
   * @throws the signal's own reason
   */
  async #isLatest(
    { passed }: PendingWrites,
    writes: KeyWrites,
    writer: BackendWriter,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (!isBehind(writes, writer)) return false;
    const head = (key: string) =>
      this.#reads.call(writer, signal, (backend) => backend.head(key, { signal }));
    const isPassed = await passed.isPassed(writes, writer, head, signal);
    signal.throwIfAborted();
    return !isPassed;
  }

  async #readBody(
    writer: BackendWriter,
    { head, body }: ObjectContent,
    signal: AbortSignal,
    epoch: ReadEpoch,
  ): Promise<ReadResult> {
    const from = writer.backend.name;
    const { sha256, operationId = '' } = head.stamp ?? {};
    if (head.size > this.#deps.verifyWholeBytes) {
      const options = this.#bodyOptions(signal);
      const resuming = resumingBody(writer.backend, { head, body }, options);
      const download = toDownload(from, head, resuming);
      await this.#deps.shown.read(epoch, from, head, signal);
      return { kind: 'ok', download, bytes: undefined, operationId };
    }
    let bytes: Uint8Array;
    try {
      bytes = await collect(body, head.size);
    } catch (cause) {
      const failure = fail('transient', 'its body broke off', { cause });
      writer.recordFailure(failure);
      return { kind: 'failed', failure };
    }
    if (sha256 !== undefined && createHash('sha256').update(bytes).digest('hex') !== sha256) {
      const failure = fail('transient', 'its bytes are not what was stored');
      return { kind: 'corrupt', failure, operationId };
    }
    const download = bufferedDownload(from, head, bytes);
    await this.#deps.shown.read(epoch, from, head, signal, copyOf(download, head, bytes));
    return { kind: 'ok', download, bytes, operationId };
  }

  #bodyOptions(signal: AbortSignal): ResumingBodyOptions {
    const { clock, unreadBodyTimeoutMs: unreadTimeoutMs } = this.#deps;
    return { signal, clock, unreadTimeoutMs };
  }

  /** The local copy of an object; a copy that cannot be read counts as missing. */
  async #localCopy(key: string): Promise<{ head: ObjectHead; bytes: Uint8Array } | undefined> {
    const copy = await this.#deps.local?.read(key).catch(() => undefined);
    if (copy === undefined) return undefined;
    const { sha256: _sha256, ...head } = copy.head;
    return { head: { ...head, size: copy.bytes.byteLength }, bytes: copy.bytes };
  }
}

/** A local copy of verified bytes; none where nothing states their checksum. */
function copyOf(
  { path: key, contentType, cacheControl, metadata }: Download,
  { stamp, lastModifiedEpochMs: modifiedUntilEpochMs }: ObjectHead,
  bytes: Uint8Array,
): { head: CopyHead; bytes: Uint8Array } | undefined {
  if (stamp === undefined) return undefined;
  return {
    head: {
      key,
      sha256: stamp.sha256,
      contentType,
      metadata,
      ...(cacheControl !== undefined && { cacheControl }),
      ...(modifiedUntilEpochMs !== undefined && { modifiedUntilEpochMs }),
    },
    bytes,
  };
}

function isAbsent({ failure }: Attempt): boolean {
  return failure.kind === 'notFound' && failure.code !== 'NoSuchBucket';
}

/** A read that no backend is away for is denied: trying again does not help. */
function failedRead(
  tried: string,
  attempts: readonly Attempt[],
): StorageDeniedError | StorageUnavailableError {
  const isDenied =
    attempts.length > 0 &&
    attempts.every(({ failure: { kind } }) => kind === 'denied' || kind === 'notFound');
  return isDenied
    ? new StorageDeniedError(tried, attempts)
    : new StorageUnavailableError(tried, attempts);
}
