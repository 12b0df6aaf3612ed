import {
  type Emitter,
  abortable,
  describeThrown,
  exponentialBackoff,
  hideCredentials,
  isHoldfastError,
  parseRetryAfter,
  propertyOf,
  sleep,
  withDeadline,
} from '@holdfast/foundation';
import type { CatalogClientEvents, CatalogFetch } from './catalog-client.ts';
import {
  CatalogApiError,
  CatalogMalformedError,
  CatalogRateLimitedError,
  CatalogRequestRefusedError,
  CatalogServerError,
  CatalogTimeoutError,
  CatalogUnauthorizedError,
  CatalogUnreachableError,
} from './errors.ts';
import type { CatalogClientSettings } from './options.ts';
import { Pacer } from './pacing/pacer.ts';

interface RequestsDeps {
  readonly settings: CatalogClientSettings;
  readonly fetch: CatalogFetch;
  readonly emitter: Emitter<CatalogClientEvents>;
}

interface ApiResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** The pause after a 429 that asks for none. */
const USUAL_PAUSE_MS = 1_000;
/** Of a response that is an error. */
const MAX_ERROR_BYTES = 65_536;

/** Makes requests: paced, within their deadline, and again only where that helps. */
export class Requests {
  readonly counts = { requests: 0, rateLimited: 0, bytes: 0 };
  readonly #deps: RequestsDeps;
  readonly #pacer: Pacer;
  readonly #backoff = exponentialBackoff({
    initialDelayMs: 200,
    maxDelayMs: 5_000,
    jitterFactor: 0.2,
  });

  constructor(deps: RequestsDeps) {
    this.#deps = deps;
    this.#pacer = new Pacer(deps.settings);
  }

  /**
   * The body of a response with 200.
   * @param isProbe a 400 or 401 may be about the page asked for: no alert.
   * @throws CatalogApiError; the signal's own reason
   */
  async get(path: string, signal: AbortSignal, isProbe = false): Promise<Uint8Array> {
    const { clock, random } = this.#deps.settings;
    const delays = this.#backoff.delays(random);
    let refusals = 0;
    for (let attempt = 1; ;) {
      try {
        const response = await this.#send(path, signal);
        if (response.status !== 429) return this.#bodyOf(path, response, isProbe);
        refusals += 1;
        this.#pauseFor(path, response.headers, refusals);
      } catch (error) {
        signal.throwIfAborted();
        const pauseMs = this.#pauseBeforeRetry(error, attempt, delays);
        if (pauseMs === undefined || !(error instanceof CatalogApiError)) throw error;
        this.#deps.emitter.emit('retried', { path, attempt, error });
        attempt += 1;
        await sleep(clock, pauseMs, signal);
      }
    }
  }

  /** `undefined`: not again. */
  #pauseBeforeRetry(
    error: unknown,
    attempt: number,
    delays: Iterator<number, never>,
  ): number | undefined {
    const { maxAttempts, maxServerAttempts, maxPauseMs } = this.#deps.settings;
    if (error instanceof CatalogTimeoutError || error instanceof CatalogUnreachableError) {
      return attempt < maxAttempts ? delays.next().value : undefined;
    }
    if (!(error instanceof CatalogServerError) || attempt >= maxServerAttempts) return undefined;
    const pauseMs = Math.max(delays.next().value, error.retryAfterMs ?? 0);
    return pauseMs <= maxPauseMs ? pauseMs : undefined;
  }

  async #send(path: string, signal: AbortSignal): Promise<ApiResponse> {
    const { clock, timeoutMs } = this.#deps.settings;
    const permit = await this.#pacer.acquire(signal);
    if ('forMs' in permit) throw new CatalogRateLimitedError(path, Math.ceil(permit.forMs), 0);
    this.counts.requests += 1;
    let response: Response | undefined;
    try {
      const late = (): Error => new CatalogTimeoutError(path, timeoutMs);
      return await withDeadline(clock, timeoutMs, signal, late, async (within) => {
        response = await abortable(this.#fetch(path, within), within);
        const body = await this.#read(path, response, within);
        return { status: response.status, headers: response.headers, body };
      });
    } catch (error) {
      signal.throwIfAborted();
      throw toApiError(path, timeoutMs, error);
    } finally {
      permit.settle(response);
    }
  }

  async #fetch(path: string, signal: AbortSignal): Promise<Response> {
    const { apiKey, baseUrl } = this.#deps.settings;
    const headers = { 'X-API-Key': apiKey, Accept: 'application/json' };
    // A redirect that is followed could carry the key to another server.
    return this.#deps.fetch(`${baseUrl}${path}`, { headers, signal, redirect: 'manual' });
  }

  async #read(path: string, response: Response, signal: AbortSignal): Promise<Uint8Array> {
    const { maxPageBytes } = this.#deps.settings;
    const isError = response.status !== 200;
    const maxBytes = isError ? Math.min(MAX_ERROR_BYTES, maxPageBytes) : maxPageBytes;
    const chunks: Uint8Array[] = [];
    let size = 0;
    const reader = response.body?.getReader();
    if (reader === undefined) return new Uint8Array();
    try {
      while (true) {
        const { done, value } = await abortable(reader.read(), signal);
        if (done) break;
        size += value.length;
        if (size > maxBytes) {
          if (isError) break;
          throw new CatalogMalformedError(path, `more than ${maxBytes} bytes`);
        }
        chunks.push(value);
      }
    } finally {
      // Not awaited: a body that is over, or hangs, has nothing more to say.
      reader.cancel().catch(() => {});
    }
    this.counts.bytes += size;
    return Buffer.concat(chunks);
  }

  #pauseFor(path: string, headers: Headers, refusals: number): void {
    const { clock, maxPauseMs, maxRateLimitRetries } = this.#deps.settings;
    const requestedMs = retryAfterOf(headers, clock.epochMs()) ?? USUAL_PAUSE_MS;
    this.counts.rateLimited += 1;
    const isTooLong = requestedMs > maxPauseMs;
    const pauseMs = this.#pacer.pause(Math.min(requestedMs, maxPauseMs));
    this.#deps.emitter.emit('rate-limited', { path, pauseMs });
    if (isTooLong || refusals > maxRateLimitRetries) {
      throw new CatalogRateLimitedError(path, requestedMs, refusals);
    }
  }

  #bodyOf(path: string, { status, headers, body }: ApiResponse, isProbe: boolean): Uint8Array {
    if (status === 200) return body;
    const message = redirectOf(status, headers) ?? messageOf(body);
    if (status >= 500) {
      const retryAfterMs = retryAfterOf(headers, this.#deps.settings.clock.epochMs());
      this.#deps.emitter.emit('server-error', { path, status, message, retryAfterMs });
      throw new CatalogServerError(path, status, message, retryAfterMs);
    }
    if (status !== 401 && status !== 403) {
      throw new CatalogRequestRefusedError(path, status, message);
    }
    const error = new CatalogUnauthorizedError(path, status, message);
    if (!isProbe || status === 403) this.alert(error);
    throw error;
  }

  /** Tells that a person has to look. */
  alert({ path, status = 401, message }: CatalogUnauthorizedError): void {
    this.#deps.emitter.emit('alert', { path, status, message });
  }
}

function retryAfterOf(headers: Headers, epochMs: number): number | undefined {
  const header = headers.get('retry-after');
  return header === null ? undefined : parseRetryAfter(header, epochMs);
}

function redirectOf(status: number, headers: Headers): string | undefined {
  const location = headers.get('location');
  if (status < 300 || status >= 400 || location === null) return undefined;
  return `a redirect to ${hideCredentials(location).slice(0, 200)}`;
}

/** The message of the API, on one line and bounded. */
function messageOf(body: Uint8Array): string {
  const text = Buffer.from(body).toString();
  let message: unknown;
  try {
    message = propertyOf(JSON.parse(text), 'message');
  } catch {
    message = text;
  }
  const line = typeof message === 'string' ? message.replace(/\p{Cc}+/gu, ' ').trim() : '';
  return line === '' ? 'no message' : line.slice(0, 200);
}

const TOO_LARGE = 'NETWORK_BODY_TOO_LARGE';
const DAMAGED = 'NETWORK_DAMAGED_BODY';

/** What a fetch failed with, as an error of this client. */
function toApiError(path: string, timeoutMs: number, error: unknown): CatalogApiError {
  if (error instanceof CatalogApiError) return error;
  const code = isHoldfastError(error) ? error.code : undefined;
  const isLate = code === 'NETWORK_FETCH_TIMEOUT' || propertyOf(error, 'name') === 'TimeoutError';
  if (isLate) return new CatalogTimeoutError(path, timeoutMs, error);
  if (code === TOO_LARGE || code === DAMAGED) {
    return new CatalogMalformedError(path, describeThrown(error), error);
  }
  return new CatalogUnreachableError(path, error);
}
