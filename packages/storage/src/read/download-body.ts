import { createHash } from 'node:crypto';
import type { Clock, Timer } from '@holdfast/foundation';
import type { ObjectContent, ObjectHead, StorageBackend } from '../backend.ts';
import { BodyIntegrityError } from '../errors.ts';
import { collect } from '../object/body.ts';
import type { Download, ObjectInfo } from '../storage.ts';

/** How often a body that broke off is resumed without a byte in between. */
const MAX_RESUMPTIONS = 5;

export interface ResumingBodyOptions {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** A body that is not read for this long gives its connection or file back; it is resumed when it is read. */
  readonly unreadTimeoutMs: number;
}

/** Opens a body at an offset. */
type OpenAt = (from: number) => Promise<AsyncIterable<Uint8Array>>;

/** A long body, verified while it is read, and resumed at the offset where it broke off. */
export function resumingBody(
  backend: StorageBackend,
  content: ObjectContent,
  options: ResumingBodyOptions,
): AsyncIterable<Uint8Array> {
  const { key, stamp, version } = content.head;
  const openAt: OpenAt = async (from) => {
    if (version === undefined && from > 0) {
      const seen = `it was not read for ${options.unreadTimeoutMs} ms, and the rest could be of another object`;
      throw new BodyIntegrityError(key, seen);
    }
    const known = version === undefined ? {} : { version };
    const result = await backend.get(key, { signal: options.signal, from, ...known });
    if (result.kind !== 'ok') throw new BodyIntegrityError(key, result.message, result.cause);
    return result.value.body;
  };
  const maxResumptions = version === undefined ? 0 : MAX_RESUMPTIONS;
  const body = new ResumingBody(content.body, openAt, { ...options, maxResumptions });
  return stamp === undefined ? body : verifiedBody(key, body, stamp.sha256);
}

/** A body that is not kept open while nobody reads it. */
export function leavableBody(
  body: AsyncIterable<Uint8Array>,
  openAt: OpenAt,
  options: ResumingBodyOptions,
): AsyncIterable<Uint8Array> {
  return new ResumingBody(body, openAt, { ...options, maxResumptions: 0 });
}

class ResumingBody implements AsyncIterableIterator<Uint8Array> {
  readonly #openAt: OpenAt;
  readonly #options: ResumingBodyOptions & { readonly maxResumptions: number };
  #rest: AsyncIterator<Uint8Array> | undefined;
  #unread: Timer;
  #offset = 0;
  #resumptions = 0;

  /** @param options.maxResumptions how often a body that broke off is resumed without a byte in between. */
  constructor(
    body: AsyncIterable<Uint8Array>,
    openAt: OpenAt,
    options: ResumingBodyOptions & { readonly maxResumptions: number },
  ) {
    this.#openAt = openAt;
    this.#options = options;
    this.#rest = body[Symbol.asyncIterator]();
    this.#unread = this.#releaseUnread();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#unread.cancel();
    while (true) {
      this.#rest ??= (await this.#openAt(this.#offset))[Symbol.asyncIterator]();
      try {
        const { done, value } = await this.#rest.next();
        if (done === true) return { done: true, value: undefined };
        this.#offset += value.byteLength;
        this.#resumptions = 0;
        this.#unread = this.#releaseUnread();
        return { done: false, value };
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (this.#resumptions === this.#options.maxResumptions) throw error;
        this.#resumptions += 1;
        this.#rest = undefined;
      }
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#unread.cancel();
    await this.#rest?.return?.();
    return { done: true, value: undefined };
  }

  #releaseUnread(): Timer {
    const { clock, unreadTimeoutMs } = this.#options;
    const release = (): void => {
      void this.#rest?.return?.().catch(() => undefined);
      this.#rest = undefined;
    };
    return clock.schedule(unreadTimeoutMs, release, { holdsProcess: false });
  }
}

/**
 * A body whose checksum is computed while it is read.
 * @throws BodyIntegrityError at its end, when the checksum is another
 */
export async function* verifiedBody(
  key: string,
  body: AsyncIterable<Uint8Array>,
  sha256: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of body) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== sha256) {
    throw new BodyIntegrityError(key, 'its bytes are not what was stored');
  }
}

/** A download whose bytes are in memory. */
export function bufferedDownload(from: string, head: ObjectHead, bytes: Uint8Array): Download {
  return {
    ...attributesOf(from, head),
    body: (async function* () {
      if (bytes.byteLength > 0) yield bytes;
    })(),
    bytes: async () => bytes,
  };
}

/** A download whose bytes are read as they arrive. */
export function toDownload(
  from: string,
  head: ObjectHead,
  body: AsyncIterable<Uint8Array>,
): Download {
  return { ...attributesOf(from, head), body, bytes: () => collect(body) };
}

function attributesOf(from: string, head: ObjectHead): Omit<Download, 'body' | 'bytes'> {
  const { key, size, contentType = 'application/octet-stream', cacheControl, metadata } = head;
  return {
    path: key,
    from,
    size,
    contentType,
    ...(cacheControl !== undefined && { cacheControl }),
    metadata,
  };
}

export function infoOf(from: string, head: ObjectHead): ObjectInfo {
  const { key: path, stamp: _stamp, servedAtEpochMs: _servedAt, ...details } = head;
  return { path, from, ...details };
}
