import { createHash } from 'node:crypto';
import { type CircuitBreaker, type Clock, createCircuitBreaker } from '@holdfast/resilience';
import {
  type BackendFailure,
  type BackendResult,
  type ObjectContent,
  type ObjectHead,
  type StorageBackend,
  caught,
  failed,
} from '../backend.ts';
import { collect } from '../body.ts';
import type { Channel } from '../dispatch/channel.ts';
import { type Chain, laneOf } from '../dispatch/lane.ts';
import { BodyCutError, ObjectNotFoundError, StorageUnavailableError } from '../errors.ts';
import type { OperationLog } from '../log/operation-log.ts';
import type { Download } from '../storage.ts';
import type { Fence, Fences } from './fences.ts';
import type { LocalCopies } from './local-copies.ts';

export interface ReaderParts {
  readonly channels: readonly Channel[];
  readonly chainOf: (key: string) => Chain | undefined;
  readonly log: OperationLog;
  readonly local: LocalCopies | undefined;
  readonly clock: Clock;
  readonly verifyWholeBytes: number;
  readonly circuitBreaker: {
    readonly failureThreshold: number;
    readonly openDurationMs: number;
    readonly maxOpenDurationMs: number;
  };
  readonly fences: Fences;
  /** A backend has bytes that are not what was stored; these are, by what the fence knows. */
  readonly repair: (backend: string, good: Download, bytes: Uint8Array, fence: Fence) => void;
}

interface Attempt {
  readonly from: string;
  readonly failure: BackendFailure;
}

/** What became of an answer with a body. */
type Taken =
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
/** A body that broke off is gone on with so many times. */
const MAX_RESUMPTIONS = 5;

/** Finds the latest bytes that can be reached. */
export class Reader {
  readonly #parts: ReaderParts;
  readonly #circuits: readonly CircuitBreaker[];
  readonly counts: Record<string, number> = {};

  constructor(parts: ReaderParts) {
    this.#parts = parts;
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
    const fence = this.#parts.fences.begin(key);
    try {
      return this.#counted(await this.#find(key, signal, fence));
    } finally {
      fence.end();
    }
  }

  async #find(key: string, signal: AbortSignal, fence: Fence): Promise<Download> {
    const attempts: Attempt[] = [];
    const corrupt: { backend: string; operationId: string }[] = [];
    for (const channel of this.#parts.channels) {
      const chain = this.#parts.chainOf(key);
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
          this.#parts.repair(damaged.backend, download, bytes, fence);
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
    const copy = await this.#parts.local?.read(key).catch(() => undefined);
    if (copy !== undefined) {
      const { contentType, metadata } = copy.head;
      const head = { key, size: copy.bytes.byteLength, contentType, metadata };
      return whole('local', head, copy.bytes);
    }
    if (attempts.length > 0 && attempts.every(({ failure }) => failure.kind === 'notFound')) {
      throw new ObjectNotFoundError(key, 'no backend has such an object');
    }
    throw new StorageUnavailableError(`download of ${JSON.stringify(key)}`, attempts);
  }

  /** @throws StorageUnavailableError, the signal's own reason */
  async exists(key: string, signal: AbortSignal): Promise<boolean> {
    const attempts: Attempt[] = [];
    for (const channel of this.#parts.channels) {
      const chain = this.#parts.chainOf(key);
      if (chain !== undefined && isBehind(chain, channel)) return chain.newest.kind === 'put';
      const found = await this.#ask(channel, (backend) => backend.head(key, { signal }));
      signal.throwIfAborted();
      if (found.kind === 'ok') return true;
      if (attempts.length === 0 && this.#isAuthoritative(found, channel)) return false;
      attempts.push({ from: channel.backend.name, failure: found });
    }
    if ((await this.#parts.local?.read(key).catch(() => undefined)) !== undefined) return true;
    if (attempts.every(({ failure }) => failure.kind === 'notFound')) return false;
    throw new StorageUnavailableError(`exists of ${JSON.stringify(key)}`, attempts);
  }

  /** The first backend that answers. @throws StorageUnavailableError, the signal's own reason */
  async first<T>(
    tried: string,
    only: string | undefined,
    signal: AbortSignal,
    ask: (backend: StorageBackend) => Promise<BackendResult<T>>,
  ): Promise<{ value: T; from: string }> {
    const attempts: Attempt[] = [];
    for (const channel of this.#parts.channels) {
      const from = channel.backend.name;
      if (only !== undefined && from !== only) continue;
      const answered = await this.#ask(channel, ask);
      signal.throwIfAborted();
      if (answered.kind === 'ok') return { value: answered.value, from };
      attempts.push({ from, failure: answered });
    }
    throw new StorageUnavailableError(tried, attempts);
  }

  async #ask<T>(
    channel: Channel,
    ask: (backend: StorageBackend) => Promise<BackendResult<T>>,
  ): Promise<BackendResult<T>> {
    const permit = this.#circuits[channel.place]?.tryAcquire();
    if (permit?.granted === false) return failed('transient', 'left alone after its failures');
    const result = await caught('read', () => ask(channel.backend));
    if (result.kind === 'transient' || result.kind === 'unknown') {
      channel.failed(result);
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
    channel: Channel,
    signal: AbortSignal,
    fence: Fence,
  ): Promise<
    Extract<Taken, { kind: 'ok' | 'corrupt' }> | { kind: 'failed'; failure: BackendFailure }
  > {
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#ask(channel, (backend) => backend.get(key, { signal }));
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
  #isAuthoritative(failure: BackendFailure, { place, state }: Channel): boolean {
    return (
      failure.kind === 'notFound' &&
      failure.code !== 'NoSuchBucket' &&
      state === 'up' &&
      this.#circuits[place]?.state === 'closed'
    );
  }

  /** The bytes of a write that a backend does not have yet; throws when that is a removal. */
  async #pending({ key, newest }: Chain): Promise<Download | undefined> {
    if (newest.kind === 'remove') throw new ObjectNotFoundError(key, 'it was removed');
    const { size, contentType, metadata } = newest;
    try {
      const source = await this.#parts.log.body(newest);
      const head = { key, size, contentType, metadata };
      if (source.bytes !== undefined) return whole('pending', head, source.bytes);
      return streamed('pending', head, source.open());
    } catch {
      // Settled and let go of while it was looked for: a backend has it now.
      return undefined;
    }
  }

  async #take(
    channel: Channel,
    { head, body }: ObjectContent,
    signal: AbortSignal,
    fence: Fence,
  ): Promise<Taken> {
    const from = channel.backend.name;
    const { sha256, operationId = '' } = head.mark ?? {};
    if (head.size > this.#parts.verifyWholeBytes) {
      const download = streamed(from, head, this.#checked(channel, { head, body }, signal));
      return { kind: 'ok', download, bytes: undefined, operationId };
    }
    let bytes: Uint8Array;
    try {
      bytes = await collect(body, head.size);
    } catch (cause) {
      const failure = failed('transient', 'its body broke off', { cause });
      channel.failed(failure);
      return { kind: 'failed', failure };
    }
    if (sha256 !== undefined && createHash('sha256').update(bytes).digest('hex') !== sha256) {
      const failure = failed('transient', 'its bytes are not what was stored');
      return { kind: 'corrupt', failure, operationId };
    }
    const download = whole(from, head, bytes);
    if (sha256 !== undefined && !fence.signal.aborted) {
      const { contentType, metadata } = download;
      this.#parts.local?.replace({ key: head.key, sha256, contentType, metadata }, bytes);
    }
    return { kind: 'ok', download, bytes, operationId };
  }

  /** A long body, checked while it is read, and gone on with from where it broke off. */
  async *#checked(
    { backend }: Channel,
    { head, body }: ObjectContent,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { key, version } = head;
    const hash = createHash('sha256');
    let offset = 0;
    let rest = body;
    for (let resumptions = 0; ; resumptions += 1) {
      try {
        for await (const chunk of rest) {
          hash.update(chunk);
          offset += chunk.byteLength;
          yield chunk;
        }
        break;
      } catch (error) {
        signal.throwIfAborted();
        if (version === undefined || resumptions === MAX_RESUMPTIONS) throw error;
        const again = await backend.get(key, { signal, from: offset, version });
        if (again.kind !== 'ok') throw new BodyCutError(key, again.message, error);
        rest = again.value.body;
      }
    }
    const sha256 = head.mark?.sha256;
    if (sha256 !== undefined && hash.digest('hex') !== sha256) {
      throw new BodyCutError(key, 'its bytes are not what was stored');
    }
  }

  #counted(download: Download): Download {
    this.counts[download.from] = (this.counts[download.from] ?? 0) + 1;
    return download;
  }
}

/** Whether a backend does not have the newest write of the key. */
function isBehind(chain: Chain, channel: Channel): boolean {
  return laneOf(chain, channel).settledGeneration < chain.newest.generation;
}

function whole(from: string, head: ObjectHead, bytes: Uint8Array): Download {
  return {
    ...described(from, head),
    body: (async function* () {
      if (bytes.byteLength > 0) yield bytes;
    })(),
    bytes: async () => bytes,
  };
}

function streamed(from: string, head: ObjectHead, body: AsyncIterable<Uint8Array>): Download {
  return { ...described(from, head), body, bytes: () => collect(body) };
}

function described(from: string, head: ObjectHead): Omit<Download, 'body' | 'bytes'> {
  const { key, size, contentType = 'application/octet-stream', metadata } = head;
  return { path: key, from, size, contentType, metadata };
}
