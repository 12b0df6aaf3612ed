import { createHash } from 'node:crypto';
import type { Clock, OrderedMap } from '@holdfast/foundation';
import { type CircuitBreaker, createCircuitBreaker } from '@holdfast/resilience';
import {
  type StorageFailure,
  type BackendResult,
  type ObjectContent,
  type StorageBackend,
  fail,
  toResult,
} from '../backend.ts';
import { ObjectNotFoundError, StorageUnavailableError } from '../errors.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import { collect } from '../object/body.ts';
import type { BackendWriter } from '../replication/backend-writer.ts';
import { type KeyWrites, isBehind } from '../replication/key-replica.ts';
import type { Download, ObjectInfo } from '../storage.ts';
import {
  bufferedDownload,
  infoOf,
  resumingBody,
  toDownload,
  verifiedBody,
} from './download-body.ts';
import type { CopyHead, LocalCopies } from './local-copies.ts';
import type { ReadEpoch, ReadEpochs } from './stale-reads.ts';

interface ReaderDeps {
  /** The backends in their order, as they are written to. */
  readonly writers: readonly BackendWriter[];
  readonly pendingKeys: Pick<OrderedMap<KeyWrites>, 'get'>;
  readonly log: OperationLog;
  readonly local: LocalCopies | undefined;
  readonly clock: Clock;
  readonly verifyWholeBytes: number;
  readonly circuitBreaker: {
    readonly failureThreshold: number;
    readonly openDurationMs: number;
    readonly maxOpenDurationMs: number;
  };
  readonly epochs: ReadEpochs;
}

/** A backend has damaged bytes of an object whose good bytes were read elsewhere. */
export interface Repair {
  readonly backend: string;
  readonly bytes: Uint8Array;
  /** Ended by whoever repairs. */
  readonly epoch: ReadEpoch;
}

interface Found {
  readonly download: Download;
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
  readonly #circuits: readonly CircuitBreaker[];
  readonly counts: Record<string, number> = {};

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
    const { circuitBreaker, clock } = deps;
    this.#circuits = deps.writers.map(({ backend }) =>
      createCircuitBreaker({ ...circuitBreaker, name: `${backend.name} reads`, clock }),
    );
  }

  /** @throws ObjectNotFoundError, StorageUnavailableError, the signal's own reason */
  async download(key: string, signal: AbortSignal): Promise<Found> {
    const epoch = this.#deps.epochs.begin(key);
    try {
      const found = await this.#find(key, signal, epoch);
      const { from } = found.download;
      this.counts[from] = (this.counts[from] ?? 0) + 1;
      return found;
    } finally {
      epoch.end();
    }
  }

  async #find(key: string, signal: AbortSignal, epoch: ReadEpoch): Promise<Found> {
    const attempts: Attempt[] = [];
    const corrupt: { backend: string; operationId: string }[] = [];
    for (const writer of this.#deps.writers) {
      const backend = writer.backend.name;
      const writes = this.#deps.pendingKeys.get(key);
      if (writes !== undefined && isBehind(writes, writer)) {
        const download = await this.#pending(writes);
        if (download !== undefined) return { download };
        continue;
      }
      const read = await this.#read(key, writer, signal, epoch);
      if (read.kind === 'ok') {
        const { download, bytes, operationId } = read;
        const damaged = corrupt.find((one) => one.operationId === operationId);
        if (bytes === undefined || damaged === undefined || epoch.signal.aborted) {
          return { download };
        }
        const repair = { backend: damaged.backend, bytes, epoch: this.#deps.epochs.begin(key) };
        return { download, repair };
      }
      const { failure } = read;
      if (read.kind === 'corrupt') corrupt.push({ backend, operationId: read.operationId });
      if (attempts.length === 0 && this.#isAuthoritative(failure, writer)) {
        throw new ObjectNotFoundError(key, `${backend} has no such object`);
      }
      attempts.push({ from: backend, failure });
    }
    const copy = await this.#localCopy(key);
    if (copy !== undefined) {
      return { download: bufferedDownload('local', copy.head, copy.bytes) };
    }
    if (attempts.length > 0 && attempts.every(({ failure }) => failure.kind === 'notFound')) {
      throw new ObjectNotFoundError(key, 'no backend has such an object');
    }
    throw new StorageUnavailableError(`download of ${JSON.stringify(key)}`, attempts);
  }

  /**
   * Resolves with the description of an object; with `undefined` when there is none.
   * @throws StorageUnavailableError, the signal's own reason
   */
  async describe(tried: string, key: string, signal: AbortSignal): Promise<ObjectInfo | undefined> {
    const attempts: Attempt[] = [];
    for (const writer of this.#deps.writers) {
      const writes = this.#deps.pendingKeys.get(key);
      if (writes !== undefined && isBehind(writes, writer)) {
        const { kind, size, contentType, metadata, acceptedAtEpochMs } = writes.newest;
        if (kind === 'remove') return undefined;
        const lastModifiedEpochMs = acceptedAtEpochMs;
        return { path: key, from: 'pending', size, contentType, metadata, lastModifiedEpochMs };
      }
      const from = writer.backend.name;
      const result = await this.#call(writer, signal, (backend) => backend.head(key, { signal }));
      signal.throwIfAborted();
      if (result.kind === 'ok') return infoOf(from, result.value);
      if (attempts.length === 0 && this.#isAuthoritative(result, writer)) return undefined;
      attempts.push({ from, failure: result });
    }
    const copy = await this.#localCopy(key);
    if (copy !== undefined) return infoOf('local', copy.head);
    if (attempts.every(({ failure }) => failure.kind === 'notFound')) return undefined;
    throw new StorageUnavailableError(`${tried} of ${JSON.stringify(key)}`, attempts);
  }

  /**
   * Resolves with the first successful result of a call, and the backend that gave it.
   * @param only the one backend to call.
   * @throws StorageUnavailableError, the signal's own reason
   */
  async first<T>(
    tried: string,
    only: string | undefined,
    signal: AbortSignal,
    call: (backend: StorageBackend) => Promise<BackendResult<T>>,
  ): Promise<{ value: T; writer: BackendWriter }> {
    const attempts: Attempt[] = [];
    for (const writer of this.#deps.writers) {
      const from = writer.backend.name;
      if (only !== undefined && from !== only) continue;
      const result = await this.#call(writer, signal, call);
      signal.throwIfAborted();
      if (result.kind === 'ok') return { value: result.value, writer };
      attempts.push({ from, failure: result });
    }
    throw new StorageUnavailableError(tried, attempts);
  }

  async #call<T>(
    writer: BackendWriter,
    signal: AbortSignal,
    call: (backend: StorageBackend) => Promise<BackendResult<T>>,
  ): Promise<BackendResult<T>> {
    const permit = this.#circuits[writer.index]?.tryAcquire();
    if (permit?.granted === false) return fail('transient', 'not called after its failures');
    const result = await toResult('read', () => call(writer.backend));
    // A call that its caller aborted shows nothing about the backend.
    if (signal.aborted) permit?.release();
    else if (result.kind === 'transient' || result.kind === 'unknown') {
      writer.recordFailure(result);
      permit?.failure(result);
    } else {
      permit?.success();
    }
    return result;
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
      const result = await this.#call(writer, signal, (backend) => backend.get(key, { signal }));
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
  #isAuthoritative(failure: StorageFailure, { index, state }: BackendWriter): boolean {
    return (
      failure.kind === 'notFound' &&
      failure.code !== 'NoSuchBucket' &&
      state === 'up' &&
      this.#circuits[index]?.state === 'closed'
    );
  }

  /** The body of a write that a backend does not have yet; throws when the write is a removal. */
  async #pending({ key, newest }: KeyWrites): Promise<Download | undefined> {
    if (newest.kind === 'remove') throw new ObjectNotFoundError(key, 'it was removed');
    const { size, contentType, metadata, sha256 } = newest;
    try {
      const source = await this.#deps.log.body(newest);
      const head = { key, size, contentType, metadata };
      if (source.bytes !== undefined) return bufferedDownload('pending', head, source.bytes);
      return toDownload('pending', head, verifiedBody(key, source.open(), sha256));
    } catch {
      // It was settled and dropped meanwhile: a backend has it now.
      return undefined;
    }
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
      const resuming = resumingBody(writer.backend, { head, body }, signal);
      const download = toDownload(from, head, resuming);
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
    if (sha256 !== undefined && !epoch.signal.aborted) {
      const { contentType, metadata } = download;
      this.#deps.local?.replace({ key: head.key, sha256, contentType, metadata }, bytes);
    }
    return { kind: 'ok', download, bytes, operationId };
  }

  /** The local copy of an object; a copy that cannot be read counts as missing. */
  async #localCopy(
    key: string,
  ): Promise<{ head: CopyHead & { size: number }; bytes: Uint8Array } | undefined> {
    const copy = await this.#deps.local?.read(key).catch(() => undefined);
    if (copy === undefined) return undefined;
    return { head: { ...copy.head, size: copy.bytes.byteLength }, bytes: copy.bytes };
  }
}
