import { CallDeadline, type Emitter, parseRetryAfter, sleep } from '@holdfast/foundation';
import type { RetryBudget } from '@holdfast/resilience';
import type { ResponseHead, WireRequest } from '../connections/connection.ts';
import {
  type FetchErrorDetails,
  FetchFailedError,
  FetchRefusedError,
  RedirectRefusedError,
  RetryLaterError,
  type Written,
} from '../errors.ts';
import type { FetchSettings } from '../options.ts';
import type { ResilientFetchEvents, ResilientResponse } from '../resilient-fetch.ts';
import { Attempt, type AttemptFailure, NULL_BODY, moreWritten } from './attempt.ts';
import type { Origin, Origins } from './origin.ts';
import { followRedirect, isRedirect } from './redirects.ts';
import { isReplayable, lengthOf } from '../body/request-body.ts';
import type { FetchRequest } from './request.ts';

interface FetchCounts {
  retries: number;
  freshRetries: number;
  redirects: number;
}

export interface FetchCallDeps {
  readonly settings: FetchSettings;
  readonly origins: Origins;
  readonly budget: RetryBudget;
  readonly counts: FetchCounts;
  readonly emitter: Emitter<ResilientFetchEvents>;
  readonly acceptEncoding: string;
}

/** Worth another try when the request is idempotent. */
const RETRIED_STATUS = new Set([408, 429, 500, 502, 503, 504]);

/** One call of `fetch`: its hops, and the attempts of each. */
export class FetchCall {
  readonly #deps: FetchCallDeps;
  readonly #deadline: CallDeadline;
  #request: FetchRequest;
  #attempts = 0;
  #redirects = 0;
  #written: Written = 'none';

  constructor(deps: FetchCallDeps, request: FetchRequest) {
    const { clock, timeoutMs } = deps.settings;
    const signals = request.signal === undefined ? [] : [request.signal];
    this.#deps = deps;
    this.#request = request;
    this.#deadline = new CallDeadline(clock, request.timeoutMs ?? timeoutMs, signals);
  }

  /** @param onOver called when the last byte of the body has come, or none will. */
  async run(
    onOver: (failure: { readonly error: unknown } | undefined) => void,
  ): Promise<ResilientResponse> {
    const over = (failure: { readonly error: unknown } | undefined): void => {
      this.#deadline.release();
      onOver(failure);
    };
    try {
      if (this.#deadline.cancellation?.kind === 'signal') throw this.#deadline.cancellation.reason;
      if (this.#request.body.kind === 'form') {
        const blob = await this.#request.body.blob;
        this.#request = { ...this.#request, body: { kind: 'blob', blob } };
      }
      const [attempt, head] = await this.#answer();
      const response = this.#respond(attempt, head);
      attempt.whenOver(over);
      return response;
    } catch (error) {
      over({ error });
      throw error;
    }
  }

  async #answer(): Promise<[Attempt, ResponseHead]> {
    const { maxRedirects } = this.#deps.settings;
    for (let hop = 0; ; hop += 1) {
      const [attempt, head] = await this.#hop();
      const { redirect } = this.#request;
      if (redirect === 'manual' || !isRedirect(head.status, head.headers)) return [attempt, head];
      const details = this.#details('redirect');
      try {
        if (redirect === 'error') {
          const explained = 'it is not followed, because redirect is error';
          throw new RedirectRefusedError('not-allowed', explained, details);
        }
        if (hop >= maxRedirects) {
          const explained = `not followed after ${maxRedirects} redirects`;
          throw new RedirectRefusedError('too-many', explained, details);
        }
        const location = head.headers.get('location') ?? '';
        this.#request = followRedirect(this.#request, head.status, location, details);
        this.#redirects += 1;
        this.#deps.counts.redirects += 1;
      } finally {
        attempt.discard(new Error('redirected'));
      }
    }
  }

  /** The attempts of one hop. */
  async #hop(): Promise<[Attempt, ResponseHead]> {
    const { settings, budget } = this.#deps;
    const delays = settings.backoff.delays(settings.random);
    budget.deposit();
    let isFresh = false;
    let wasFresh = false;
    for (let number = 1; ;) {
      const origin = this.#originOf();
      const attempt = this.#begin(origin, isFresh);
      const result = await attempt.start();
      this.#attempts += 1;
      if (result.kind === 'answered') {
        const waitMs = this.#waitAfterStatus(attempt, result.head, number, delays);
        if (waitMs === undefined) return [attempt, result.head];
        attempt.discard(new Error('retried'));
        await this.#pause(waitMs, number, { status: result.head.status });
        number += 1;
        isFresh = false;
        continue;
      }
      this.#written = moreWritten(this.#written, result.written);
      if (!this.#mayRepeat(result)) throw result.error;
      if (result.isReuseRace && !wasFresh) {
        // Outside of the backoff and its count: it says nothing about the server.
        wasFresh = isFresh = true;
        this.#deps.counts.freshRetries += 1;
        this.#announce(number, 0, true, { error: result.error });
        continue;
      }
      const waitMs = delays.next().value;
      const isInTime = waitMs < this.#deadline.remainingMs();
      if (number >= settings.maxAttempts || !isInTime || !budget.tryWithdraw()) throw result.error;
      await this.#pause(waitMs, number, { error: result.error });
      number += 1;
      isFresh = false;
    }
  }

  #originOf(): Origin {
    const { url } = this.#request;
    const origin = this.#deps.origins.of(url);
    if (origin !== undefined) return origin;
    const { maxOrigins } = this.#deps.settings;
    const explained = `calls to ${maxOrigins} other origins are running, which is maxOrigins`;
    throw new FetchRefusedError(explained, { ...this.#details('admission'), retryable: true });
  }

  #begin(origin: Origin, isFresh: boolean): Attempt {
    const { attemptTimeoutMs, clock, maxBodyBytes } = this.#deps.settings;
    const deadline = this.#deadline;
    const limit =
      attemptTimeoutMs === undefined
        ? deadline
        : new CallDeadline(clock, attemptTimeoutMs, [deadline.signal]);
    return new Attempt({
      origin,
      request: this.#wireRequest(),
      deadline,
      limit,
      maxBodyBytes,
      isFresh,
      writtenBefore: this.#written,
    });
  }

  #wireRequest(): WireRequest {
    const { url, method, headers, body, isIdempotent } = this.#request;
    const flat: string[] = [];
    headers.forEach((value, name) => flat.push(name, value));
    if (!headers.has('accept')) flat.push('accept', '*/*');
    if (!headers.has('accept-encoding')) {
      // A part of an encoded body cannot be inflated.
      const accepted = headers.has('range') ? 'identity' : this.#deps.acceptEncoding;
      flat.push('accept-encoding', accepted);
    }
    const length = lengthOf(body);
    if (length !== undefined && !headers.has('content-length')) {
      flat.push('content-length', String(length));
    }
    return { url, method, headers: flat, body, isIdempotent };
  }

  #mayRepeat({ isTransient, written, isUntouched }: AttemptFailure): boolean {
    const { isIdempotent, body } = this.#request;
    return isTransient && isReplayable(body) && (written === 'none' || isUntouched || isIdempotent);
  }

  /** How long to wait before the next attempt; `undefined` when the answer is the caller's. */
  #waitAfterStatus(
    attempt: Attempt,
    { status, headers }: ResponseHead,
    number: number,
    delays: Iterator<number, never>,
  ): number | undefined {
    const { settings, budget } = this.#deps;
    this.#written = 'all';
    const { isIdempotent, body } = this.#request;
    const isRetried = RETRIED_STATUS.has(status) && isIdempotent && isReplayable(body);
    if (!isRetried || settings.maxAttempts === 1) return undefined;
    const askedMs = parseRetryAfter(headers.get('retry-after') ?? '', settings.clock.epochMs());
    const remainingMs = this.#deadline.remainingMs();
    if (askedMs !== undefined && askedMs >= remainingMs) {
      attempt.discard(new Error('later'));
      const retryAfterMs = Math.min(Math.round(askedMs), Number.MAX_SAFE_INTEGER);
      throw new RetryLaterError(status, retryAfterMs, this.#details('headers'));
    }
    const waitMs = askedMs ?? delays.next().value;
    if (number >= settings.maxAttempts || waitMs >= remainingMs) return undefined;
    return budget.tryWithdraw() ? waitMs : undefined;
  }

  async #pause(
    delayMs: number,
    number: number,
    seen: { error?: unknown; status?: number },
  ): Promise<void> {
    this.#deps.counts.retries += 1;
    this.#announce(number, delayMs, false, seen);
    await sleep(this.#deps.settings.clock, delayMs, this.#deadline.signal);
  }

  #announce(
    attempt: number,
    delayMs: number,
    isImmediate: boolean,
    seen: { error?: unknown; status?: number },
  ): void {
    const { origin } = this.#request.url;
    this.#deps.emitter.emit('retried', { origin, attempt, delayMs, isImmediate, ...seen });
  }

  #details(where: FetchErrorDetails['where']): FetchErrorDetails {
    return { where, written: this.#written, endpoint: { origin: this.#request.url.origin } };
  }

  #respond(attempt: Attempt, head: ResponseHead): ResilientResponse {
    const { status, headers, statusText, isEndFramed, isDecoded } = head;
    const isEmpty = this.#request.method === 'HEAD' || NULL_BODY.has(status);
    if (status > 599) {
      attempt.discard(new Error('status'));
      throw new FetchFailedError(`answered with the unknown status ${status}`, {
        ...this.#details('headers'),
      });
    }
    const response = new Response(isEmpty ? null : attempt.receiver.open(), {
      status,
      headers,
      statusText: /^[\t\u{20}-\u{7e}\u{80}-\u{ff}]*$/u.test(statusText) ? statusText : '',
    });
    // A content encoding says itself where it ends.
    const isVerified = isEndFramed || (!isDecoded && headers.has('content-encoding'));
    // Getters of the class, which no constructor can set.
    Object.defineProperties(response, {
      url: { value: urlOf(this.#request.url), configurable: true },
      redirected: { value: this.#redirects > 0, configurable: true },
    });
    return Object.assign(response, { attempts: this.#attempts, unverifiedEnd: !isVerified });
  }
}

function urlOf(url: URL): string {
  return url.hash === '' ? url.href : url.href.slice(0, -url.hash.length);
}
