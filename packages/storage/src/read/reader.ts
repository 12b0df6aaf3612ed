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
  /** A backend has bytes that are not what was stored; these are. */
  readonly repair: (backend: string, good: Download, bytes: Uint8Array) => void;
}

interface Attempt {
  readonly from: string;
  readonly failure: BackendFailure;
}

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
    const attempts: Attempt[] = [];
    const corrupt: { backend: string; operationId: string }[] = [];
    for (const channel of this.#parts.channels) {
      const chain = this.#parts.chainOf(key);
      if (chain !== undefined && isBehind(chain, channel)) {
        const pending = await this.#pending(chain);
        if (pending !== undefined) return this.#counted(pending);
        continue;
      }
      const found = await this.#ask(channel, (backend) => backend.get(key, { signal }));
      signal.throwIfAborted();
      if (found.kind === 'ok') {
        const read = await this.#take(channel, found.value, signal);
        signal.throwIfAborted();
        if ('download' in read) {
          const { download, bytes } = read;
          if (bytes !== undefined) {
            for (const { backend, operationId } of corrupt) {
              if (operationId === found.value.head.mark?.operationId) {
                this.#parts.repair(backend, download, bytes);
              }
            }
          }
          return this.#counted(download);
        }
        const { mark } = found.value.head;
        if (read.isCorrupt && mark !== undefined) {
          corrupt.push({ backend: channel.backend.name, operationId: mark.operationId });
        }
        attempts.push({ from: channel.backend.name, failure: read.failure });
        continue;
      }
      if (this.#isAuthoritative(found, channel)) {
        throw new ObjectNotFoundError(key, `${channel.backend.name} has no such object`);
      }
      attempts.push({ from: channel.backend.name, failure: found });
    }
    const copy = await this.#parts.local?.read(key).catch(() => undefined);
    if (copy !== undefined) {
      const { contentType, metadata } = copy.head;
      const head = { key, size: copy.bytes.byteLength, contentType, metadata };
      return this.#counted(whole('local', head, copy.bytes));
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
      if (this.#isAuthoritative(found, channel)) return false;
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

  /** That nothing is there is believed of a backend that is well, not of one that just came back. */
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
  ): Promise<
    | { download: Download; bytes: Uint8Array | undefined }
    | { failure: BackendFailure; isCorrupt: boolean }
  > {
    const from = channel.backend.name;
    const sha256 = head.mark?.sha256;
    if (head.size > this.#parts.verifyWholeBytes) {
      const download = streamed(from, head, this.#checked(channel, { head, body }, signal));
      return { download, bytes: undefined };
    }
    let bytes: Uint8Array;
    try {
      bytes = await collect(body, head.size);
    } catch (cause) {
      const failure = failed('transient', 'its body broke off', { cause });
      channel.failed(failure);
      return { failure, isCorrupt: false };
    }
    if (sha256 !== undefined && createHash('sha256').update(bytes).digest('hex') !== sha256) {
      return { failure: failed('transient', 'its bytes are not what was stored'), isCorrupt: true };
    }
    const download = whole(from, head, bytes);
    if (sha256 !== undefined) {
      const { contentType, metadata } = download;
      this.#parts.local?.replace({ key: head.key, sha256, contentType, metadata }, bytes);
    }
    return { download, bytes };
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
