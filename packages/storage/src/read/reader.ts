import { createHash } from 'node:crypto';
import type { Clock } from '@holdfast/foundation';
import { type CircuitBreaker, createCircuitBreaker } from '@holdfast/resilience';
import {
  type BackendFailure,
  type BackendResult,
  type ObjectContent,
  type StorageBackend,
  toResult,
  fail,
} from '../backend.ts';
import { collect } from '../object/body.ts';
import type { BackendWriter } from '../replication/backend-writer.ts';
import { type KeyWrites, replicaOf } from '../replication/key-replica.ts';
import { ObjectNotFoundError, StorageUnavailableError } from '../errors.ts';
import type { OperationLog } from '../journal/operation-log.ts';
import type { Download, ObjectInfo } from '../storage.ts';
import {
  resumingBody,
  infoOf,
  verifiedBody,
  streamedDownload,
  bufferedDownload,
} from './download-body.ts';
import type { ReadEpoch, ReadEpochs } from './stale-reads.ts';
import type { LocalCopies } from './local-copies.ts';

export interface ReaderDeps {
  readonly channels: readonly BackendWriter[];
  readonly chainOf: (key: string) => KeyWrites | undefined;
  readonly log: OperationLog;
  readonly local: LocalCopies | undefined;
  readonly clock: Clock;
  readonly verifyWholeBytes: number;
  readonly circuitBreaker: {
    readonly failureThreshold: number;
    readonly openDurationMs: number;
    readonly maxOpenDurationMs: number;
  };
  readonly fences: ReadEpochs;
  /** A backend has bytes that are not what was stored; these are, by what the fence knows. */
  readonly repair: (backend: string, good: Download, bytes: Uint8Array, fence: ReadEpoch) => void;
}

interface Attempt {
  readonly from: string;
  readonly failure: BackendFailure;
}

/** What became of an answer with a body. */
type ReadResult =
  | {
      readonly kind: 'ok';
      readonly download: Download;
      /** All of them, where they were read and checked. */
      readonly bytes: Uint8Array | undefined;
      readonly operationId: string;
    }
  | { readonly kind: 'corrupt'; readonly failure: BackendFailure; readonly operationId: string }
  | { readonly kind: 'failed'; readonly failure: BackendFailure };

/** Bytes that do not fit their checksum are asked for so many times. */
const READS = 2;

/** Finds the latest bytes that can be reached. */
export class Reader {
  readonly #deps: ReaderDeps;
  readonly #circuits: readonly CircuitBreaker[];
  readonly counts: Record<string, number> = {};

  constructor(parts: ReaderDeps) {
    this.#deps = parts;
    this.#circuits = parts.channels.map(({ backend }) =>
      createCircuitBreaker({
        ...parts.circuitBreaker,
        name: `${backend.name} reads`,
        clock: parts.clock,
      }),
    );
  }

  /** @throws ObjectNotFoundError, StorageUnavailableError, the signal's own reason */
  async download(key: string, signal: AbortSignal): Promise<Download> {
    const fence = this.#deps.fences.begin(key);
    try {
      return this.#counted(await this.#find(key, signal, fence));
    } finally {
      fence.end();
    }
  }

  async #find(key: string, signal: AbortSignal, fence: ReadEpoch): Promise<Download> {
    const attempts: Attempt[] = [];
    const corrupt: { backend: string; operationId: string }[] = [];
    for (const channel of this.#deps.channels) {
      const chain = this.#deps.chainOf(key);
      if (chain !== undefined && isBehind(chain, channel)) {
        const pending = await this.#pending(chain);
        if (pending !== undefined) return pending;
        continue;
      }
      const read = await this.#read(key, channel, signal, fence);
      if (read.kind === 'ok') {
        const { download, bytes, operationId } = read;
        const damaged = corrupt.find((one) => one.operationId === operationId);
        if (bytes !== undefined && damaged !== undefined) {
          this.#deps.repair(damaged.backend, download, bytes, fence);
        }
        return download;
      }
      const found = read.failure;
      if (read.kind === 'corrupt') {
        corrupt.push({ backend: channel.backend.name, operationId: read.operationId });
      }
      if (attempts.length === 0 && this.#isAuthoritative(found, channel)) {
        throw new ObjectNotFoundError(key, `${channel.backend.name} has no such object`);
      }
      attempts.push({ from: channel.backend.name, failure: found });
    }
    const copy = await this.#deps.local?.read(key).catch(() => undefined);
    if (copy !== undefined) {
      const { contentType, metadata } = copy.head;
      const head = { key, size: copy.bytes.byteLength, contentType, metadata };
      return bufferedDownload('local', head, copy.bytes);
    }
    if (attempts.length > 0 && attempts.every(({ failure }) => failure.kind === 'notFound')) {
      throw new ObjectNotFoundError(key, 'no backend has such an object');
    }
    throw new StorageUnavailableError(`download of ${JSON.stringify(key)}`, attempts);
  }

  /**
   * What is known of an object without its bytes; `undefined` when there is none.
   * @throws StorageUnavailableError, the signal's own reason
   */
  async describe(tried: string, key: string, signal: AbortSignal): Promise<ObjectInfo | undefined> {
    const attempts: Attempt[] = [];
    for (const channel of this.#deps.channels) {
      const chain = this.#deps.chainOf(key);
      if (chain !== undefined && isBehind(chain, channel)) {
        const { kind, size, contentType, metadata, acceptedAtEpochMs } = chain.newest;
        if (kind === 'remove') return undefined;
        const lastModifiedEpochMs = acceptedAtEpochMs;
        return { path: key, from: 'pending', size, contentType, metadata, lastModifiedEpochMs };
      }
      const from = channel.backend.name;
      const found = await this.#ask(channel, signal, (backend) => backend.head(key, { signal }));
      signal.throwIfAborted();
      if (found.kind === 'ok') return infoOf(from, found.value);
      if (attempts.length === 0 && this.#isAuthoritative(found, channel)) return undefined;
      attempts.push({ from, failure: found });
    }
    const copy = await this.#deps.local?.read(key).catch(() => undefined);
    if (copy !== undefined) {
      const { contentType, metadata } = copy.head;
      const size = copy.bytes.byteLength;
      return { path: key, from: 'local', size, contentType, metadata };
    }
    if (attempts.every(({ failure }) => failure.kind === 'notFound')) return undefined;
    throw new StorageUnavailableError(`${tried} of ${JSON.stringify(key)}`, attempts);
  }

  /** The first backend that answers. @throws StorageUnavailableError, the signal's own reason */
  async first<T>(
    tried: string,
    only: string | undefined,
    signal: AbortSignal,
    ask: (backend: StorageBackend) => Promise<BackendResult<T>>,
  ): Promise<{ value: T; from: string }> {
    const attempts: Attempt[] = [];
    for (const channel of this.#deps.channels) {
      const from = channel.backend.name;
      if (only !== undefined && from !== only) continue;
      const answered = await this.#ask(channel, signal, ask);
      signal.throwIfAborted();
      if (answered.kind === 'ok') return { value: answered.value, from };
      attempts.push({ from, failure: answered });
    }
    throw new StorageUnavailableError(tried, attempts);
  }

  async #ask<T>(
    channel: BackendWriter,
    signal: AbortSignal,
    ask: (backend: StorageBackend) => Promise<BackendResult<T>>,
  ): Promise<BackendResult<T>> {
    const permit = this.#circuits[channel.index]?.tryAcquire();
    if (permit?.granted === false) return fail('transient', 'left alone after its failures');
    const result = await toResult('read', () => ask(channel.backend));
    // A caller who gave up says nothing about the backend.
    if (signal.aborted) permit?.release();
    else if (result.kind === 'transient' || result.kind === 'unknown') {
      channel.recordFailure(result);
      permit?.failure(result);
    } else {
      permit?.success();
    }
    return result;
  }

  /**
   * What one backend has of it. Bytes that do not fit their checksum are read once more: between two
   * answers somebody may have written, or a cache on the way handed out what was there before.
   */
  async #read(
    key: string,
    channel: BackendWriter,
    signal: AbortSignal,
    fence: ReadEpoch,
  ): Promise<
    Extract<ReadResult, { kind: 'ok' | 'corrupt' }> | { kind: 'failed'; failure: BackendFailure }
  > {
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#ask(channel, signal, (backend) => backend.get(key, { signal }));
      signal.throwIfAborted();
      if (found.kind !== 'ok') return { kind: 'failed', failure: found };
      const taken = await this.#take(channel, found.value, signal, fence);
      signal.throwIfAborted();
      if (taken.kind !== 'corrupt' || attempt === READS) return taken;
    }
  }

  /**
   * That nothing is there is believed of the first that is asked and is well, not of one that just came
   * back: what others wrote to the first the next ones never had.
   */
  #isAuthoritative(failure: BackendFailure, { index, state }: BackendWriter): boolean {
    return (
      failure.kind === 'notFound' &&
      failure.code !== 'NoSuchBucket' &&
      state === 'up' &&
      this.#circuits[index]?.state === 'closed'
    );
  }

  /** The bytes of a write that a backend does not have yet; throws when that is a removal. */
  async #pending({ key, newest }: KeyWrites): Promise<Download | undefined> {
    if (newest.kind === 'remove') throw new ObjectNotFoundError(key, 'it was removed');
    const { size, contentType, metadata, sha256 } = newest;
    try {
      const source = await this.#deps.log.body(newest);
      const head = { key, size, contentType, metadata };
      if (source.bytes !== undefined) return bufferedDownload('pending', head, source.bytes);
      return streamedDownload('pending', head, verifiedBody(key, source.open(), sha256));
    } catch {
      // Settled and let go of while it was looked for: a backend has it now.
      return undefined;
    }
  }

  async #take(
    channel: BackendWriter,
    { head, body }: ObjectContent,
    signal: AbortSignal,
    fence: ReadEpoch,
  ): Promise<ReadResult> {
    const from = channel.backend.name;
    const { sha256, operationId = '' } = head.stamp ?? {};
    if (head.size > this.#deps.verifyWholeBytes) {
      const download = streamedDownload(
        from,
        head,
        resumingBody(channel.backend, { head, body }, signal),
      );
      return { kind: 'ok', download, bytes: undefined, operationId };
    }
    let bytes: Uint8Array;
    try {
      bytes = await collect(body, head.size);
    } catch (cause) {
      const failure = fail('transient', 'its body broke off', { cause });
      channel.recordFailure(failure);
      return { kind: 'failed', failure };
    }
    if (sha256 !== undefined && createHash('sha256').update(bytes).digest('hex') !== sha256) {
      const failure = fail('transient', 'its bytes are not what was stored');
      return { kind: 'corrupt', failure, operationId };
    }
    const download = bufferedDownload(from, head, bytes);
    if (sha256 !== undefined && !fence.signal.aborted) {
      const { contentType, metadata } = download;
      this.#deps.local?.replace({ key: head.key, sha256, contentType, metadata }, bytes);
    }
    return { kind: 'ok', download, bytes, operationId };
  }

  #counted(download: Download): Download {
    this.counts[download.from] = (this.counts[download.from] ?? 0) + 1;
    return download;
  }
}

/** Whether a backend does not have the newest write of the key. */
function isBehind(chain: KeyWrites, channel: BackendWriter): boolean {
  return replicaOf(chain, channel).settledGeneration < chain.newest.generation;
}
