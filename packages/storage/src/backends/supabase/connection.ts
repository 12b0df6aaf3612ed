import { types } from 'node:util';
import { type Clock, InvalidOptionError, systemClock } from '@holdfast/foundation';
import { type StorageFailure, type BackendResult, fail, ok } from '../../backend.ts';
import { type RequestTimeout, startRequestTimeout } from '../request-timeout.ts';
import { type Effect, classifyResponse, classifyThrown, unproven } from './errors.ts';

/** The part of a supabase-js client that is used: the address of its server. */
export interface SupabaseClientLike {
  readonly storage: object;
}

/** The address of the storage server. */
interface SupabaseAddress {
  /** Ends with `/storage/v1`, or the prefix of the server's paths. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
}

/**
 * The address of a supabase-js client. The client's own calls are not used: they put keys into URLs without
 * encoding, take no signal for uploads, hide Retry-After, and treat a response of `{}` as a success. Its `fetch`
 * is used, because it adds the token of the session.
 * @throws InvalidOptionError for a client of another kind.
 */
export function addressOf(client: SupabaseClientLike): SupabaseAddress {
  const { storage } = client;
  const url: unknown = Reflect.get(storage, 'url');
  const headers: unknown = Reflect.get(storage, 'headers');
  const ask: unknown = Reflect.get(storage, 'fetch');
  if (typeof url !== 'string' || !isHeaders(headers) || !isFetch(ask)) {
    throw new InvalidOptionError(
      'supabaseBackend',
      'client',
      client,
      'a client of supabase-js 2 (or give url and key)',
    );
  }
  return { url: url.replace(/\/+$/, ''), headers, fetch: ask };
}

interface SupabaseRequest {
  readonly method: string;
  /** Begins with a slash. */
  readonly path: string;
  readonly effect: Effect;
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Bytes of the body that are sent. */
  readonly bytes?: number;
}

/** A response whose head has arrived, and the timeout of its body. */
export interface SupabaseResponse {
  readonly response: Response;
  readonly timeout: RequestTimeout;
}

/**
 * A request that follows no redirect and belongs to no window is sent as it is. Of every other one `fetch` makes a
 * copy, with a tee of its body, which costs a tenth of a small upload.
 */
const WITHOUT_COPY = { redirect: 'error', window: null } as const;

/** Sends requests to one server, each with a time limit. Never rejects. */
export class SupabaseConnection {
  readonly #address: SupabaseAddress;
  readonly #clock: Clock;
  readonly #requestTimeoutMs: number;
  readonly #minBytesPerSecond: number;

  constructor(
    address: SupabaseAddress,
    options: { clock?: Clock; requestTimeoutMs: number; minBytesPerSecond: number },
  ) {
    this.#address = address;
    this.#clock = options.clock ?? systemClock;
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#minBytesPerSecond = options.minBytesPerSecond;
  }

  get url(): string {
    return this.#address.url;
  }

  /** Resolves when the head of a successful response has arrived; the caller reads the body and ends the timeout. */
  async request(asked: SupabaseRequest): Promise<BackendResult<SupabaseResponse>> {
    const { method, path, effect, body, bytes = 0 } = asked;
    if (asked.signal.aborted) return fail('transient', 'aborted before it was sent');
    const timeoutMs = this.#requestTimeoutMs + (bytes / this.#minBytesPerSecond) * 1_000;
    const timeout = startRequestTimeout(this.#clock, timeoutMs, asked.signal);
    try {
      const response = await this.#address.fetch(`${this.#address.url}${path}`, {
        method,
        headers: { ...this.#address.headers, ...asked.headers },
        signal: timeout.signal,
        ...WITHOUT_COPY,
        ...(body !== undefined && { body: bodyInit(body) }),
        ...(isStream(body) && { duplex: 'half' }),
      });
      if (response.ok) return ok({ response, timeout });
      const failure = await this.#failure(response, effect);
      timeout.end();
      return failure;
    } catch (error) {
      timeout.end();
      return classifyThrown(error, effect);
    }
  }

  /** The same for a response whose body is JSON. */
  async requestJson(asked: SupabaseRequest): Promise<BackendResult<unknown>> {
    const answered = await this.request(asked);
    return answered.kind === 'ok' ? readJson(answered.value, asked.effect) : answered;
  }

  async #failure(response: Response, effect: Effect): Promise<StorageFailure> {
    // An error without its body is still an error.
    const text = await response.text().catch(() => '');
    return classifyResponse(response, text, effect, this.#clock.epochMs());
  }
}

/** Reads the body of a response as JSON. */
export async function readJson(
  { response, timeout }: SupabaseResponse,
  effect: Effect,
): Promise<BackendResult<unknown>> {
  let text: string;
  try {
    text = await response.text();
  } catch (error) {
    return classifyThrown(error, effect);
  } finally {
    timeout.end();
  }
  try {
    return ok(JSON.parse(text));
  } catch (error) {
    return unproven(effect, 'a body that is not JSON', error);
  }
}

function isStream(body: SupabaseRequest['body']): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && Symbol.asyncIterator in body;
}

function bodyInit(
  body: NonNullable<SupabaseRequest['body']>,
): string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
  if (typeof body === 'string') return body;
  if (isStream(body)) return ReadableStream.from(body);
  return isUnshared(body) ? body : Uint8Array.from(body);
}

function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return types.isArrayBuffer(bytes.buffer);
}

function isHeaders(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((header) => typeof header === 'string')
  );
}

function isFetch(value: unknown): value is typeof fetch {
  return typeof value === 'function';
}
