import {
  type CallDeadline,
  type Cancellable,
  type Cancellation,
  errorChain,
  propertyOf,
} from '@holdfast/foundation';
import type { CircuitPermit, Release } from '@holdfast/resilience';
import { type BodyDefect, type DecodedSink, Inflater, parseCodings } from '../body/inflate.ts';
import { BodyReceiver, type BodyReceiverOwner } from '../body/body-receiver.ts';
import { BodySourceError, isReplayable } from '../body/request-body.ts';
import type {
  OriginConnection,
  HttpExchange,
  ExchangeFailure,
  ExchangeHandler,
  ResponseHead,
  WireRequest,
} from '../connections/connection.ts';
import {
  BodyTooLargeError,
  type FetchErrorDetails,
  FetchFailedError,
  FetchRefusedError,
  type FetchStage,
  FetchTimeoutError,
  DamagedBodyError,
  TruncatedBodyError,
  type Written,
} from '../errors.ts';
import { NetworkClosedError } from '../../errors.ts';
import { codeOf, isTransientError, reasonOf } from './failure-reasons.ts';
import type { Origin } from './origin.ts';

interface FetchAttemptDeps {
  readonly origin: Origin;
  readonly request: WireRequest;
  /** Of the call. */
  readonly deadline: CallDeadline;
  /** Of this attempt until its head, or that of the call. */
  readonly limit: CallDeadline;
  readonly maxBodyBytes: number;
  readonly isFresh: boolean;
  /** What earlier attempts have written. */
  readonly writtenBefore: Written;
}

/** How an attempt failed before there was an answer. `error` is what the caller gets if it was the last. */
export interface AttemptFailure {
  readonly error: unknown;
  readonly written: Written;
  /** Whether a later attempt may succeed. */
  readonly isTransient: boolean;
  readonly isUntouched: boolean;
  readonly isReuseRace: boolean;
}

type FetchAttemptResult =
  | { readonly kind: 'answered'; readonly head: ResponseHead }
  | ({ readonly kind: 'failed' } & AttemptFailure);

const ORDER: readonly Written[] = ['none', 'partial', 'all'];

export function moreWritten(one: Written, other: Written): Written {
  return ORDER.indexOf(one) >= ORDER.indexOf(other) ? one : other;
}

/** One request on one connection, from the permission to the last byte of the answer's body. */
export class Attempt implements ExchangeHandler, BodyReceiverOwner, Cancellable {
  readonly receiver: BodyReceiver = new BodyReceiver(this);
  readonly #deps: FetchAttemptDeps;
  #permit: CircuitPermit | undefined;
  #release: Release | undefined;
  #exchange: HttpExchange | undefined;
  #settle: ((result: FetchAttemptResult) => void) | undefined;
  #inflater: Inflater | undefined;
  #address: string | undefined;
  #bodyBytes = 0;
  #hasHead = false;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;
  #onOver: ((failure: { readonly error: unknown } | undefined) => void) | undefined;

  constructor(deps: FetchAttemptDeps) {
    this.#deps = deps;
  }

  /** Settles with the head of the answer, or with why there is none. Never rejects. */
  async start(): Promise<FetchAttemptResult> {
    const { origin, limit, isFresh } = this.#deps;
    const permit = origin.circuit.tryAcquire();
    if (!permit.granted) return this.#refused(permit.retryAfterMs);
    this.#permit = permit;
    let where: FetchStage = 'admission';
    try {
      const { bulkhead, source } = origin;
      this.#release = bulkhead.tryAcquire() ?? (await bulkhead.acquire({ signal: limit.signal }));
      where = 'connect';
      const result = new Promise<FetchAttemptResult>((resolve) => {
        this.#settle = resolve;
      });
      const acquired = source.acquire(
        () => limit.signal,
        isFresh,
        (connection) => this.#sendOn(connection),
      );
      if (acquired !== undefined) await acquired;
      return await result;
    } catch (error) {
      return this.#notSent(where, error);
    }
  }

  #sendOn(connection: OriginConnection): void {
    const { limit, request } = this.#deps;
    if (limit.cancellation !== undefined) {
      this.#settle?.(this.#notSent('connect', undefined));
      return;
    }
    this.#address = connection.address;
    limit.current = this;
    this.#exchange = connection.send(request, this);
  }

  #refused(retryAfterMs: number | undefined): FetchAttemptResult {
    const error = new FetchRefusedError('its circuit is open; nothing was sent', {
      ...this.#details('admission', 'none', undefined),
      retryable: true,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
    this.#over(undefined, undefined);
    return { kind: 'failed', error, ...NOT_SENT, isTransient: false };
  }

  #notSent(where: FetchStage, cause: unknown): FetchAttemptResult {
    const isAdmission = where === 'admission';
    const isTransient = !isAdmission && isTransientError(cause);
    const canceled = this.#canceledError(where, 'none');
    const details = { ...this.#details(where, 'none', cause), retryable: isTransient };
    const refusal = propertyOf(cause, 'retryAfterMs');
    const error =
      canceled?.error ??
      (cause instanceof NetworkClosedError
        ? cause
        : isAdmission
          ? new FetchRefusedError('too many calls wait for it; nothing was sent', {
              ...details,
              retryable: true,
              ...(typeof refusal === 'number' && { retryAfterMs: refusal }),
            })
          : new FetchFailedError(`no connection ${reasonOf(cause)}`, details));
    if (canceled === undefined && isTransient) this.#permit?.failure(error);
    this.#over(undefined, canceled?.isTimeout === true && !isAdmission ? error : undefined);
    return { kind: 'failed', error, ...NOT_SENT, isTransient: canceled?.isAttempt ?? isTransient };
  }

  /** The deadline has passed, or the caller has aborted. */
  cancel(cancellation: Cancellation): void {
    if (this.#isOver) return;
    const isLate =
      cancellation.kind === 'deadline' || this.#deps.deadline.cancellation?.kind === 'deadline';
    const reason = cancellation.kind === 'signal' ? cancellation.reason : new Error('late');
    const written = this.#exchange?.cancel(reason, isLate) ?? 'none';
    this.#inflater?.destroy();
    const where = this.#hasHead ? 'body' : written === 'partial' ? 'request' : 'headers';
    const canceled = this.#canceledError(where, written);
    const failure = {
      error: canceled?.error ?? reason,
      written,
      isTransient: canceled?.isAttempt ?? false,
      isUntouched: false,
      isReuseRace: false,
    };
    const isOfServer = isLate && !this.#hasHead;
    if (this.#hasHead) this.receiver.fail(failure.error);
    this.#over({ error: failure.error }, isOfServer ? failure.error : undefined);
    this.#settle?.({ kind: 'failed', ...failure });
  }

  /** What a cancellation means to the caller; `isAttempt`: only the time of this attempt is over. */
  #canceledError(
    where: FetchStage,
    written: Written,
  ): { error: unknown; isAttempt: boolean; isTimeout: boolean } | undefined {
    const { deadline, limit } = this.#deps;
    const { cancellation } = deadline;
    if (cancellation?.kind === 'signal') {
      return { error: cancellation.reason, isAttempt: false, isTimeout: false };
    }
    if (cancellation === undefined && limit.cancellation === undefined) return undefined;
    const { timeoutMs } = cancellation === undefined ? limit : deadline;
    const error = new FetchTimeoutError(`not done within ${timeoutMs} ms (${where})`, {
      ...this.#details(where, written, undefined),
      retryable: true,
    });
    return { error, isAttempt: cancellation === undefined, isTimeout: true };
  }

  head(head: ResponseHead): void {
    const { request, deadline, limit, maxBodyBytes } = this.#deps;
    this.#hasHead = true;
    if (limit !== deadline) limit.release();
    deadline.current = this;
    const { status, headers } = head;
    if (status >= 500 && !OF_THE_REQUEST.has(status)) {
      this.#permit?.failure(new Error(`HTTP ${status}`));
    }
    const isEmpty = request.method === 'HEAD' || NULL_BODY.has(status);
    const isPart = status === 206 && request.headers.includes('range');
    const names =
      isEmpty || isPart || head.isDecoded
        ? []
        : (parseCodings(headers.get('content-encoding')) ?? []);
    if (names.length > 0) {
      this.#inflater = new Inflater(names, maxBodyBytes, this.#decoded);
      this.#inflater.onDrain = () => this.#exchange?.resume();
    } else if (!isEmpty && Number(headers.get('content-length') ?? 0) > maxBodyBytes) {
      // Not at once: the exchange is not yet known here.
      queueMicrotask(() => this.#tooLarge());
    }
    this.#settle?.({ kind: 'answered', head });
  }

  data(chunk: Uint8Array): boolean {
    if (this.#inflater !== undefined) return this.#inflater.write(chunk);
    this.#bodyBytes += chunk.byteLength;
    if (this.#bodyBytes > this.#deps.maxBodyBytes) {
      queueMicrotask(() => this.#tooLarge());
      return false;
    }
    return this.receiver.data(chunk);
  }

  end(): void {
    this.#releaseSlot();
    if (this.#inflater !== undefined) this.#inflater.end();
    else this.#finish();
  }

  readonly #decoded: DecodedSink = {
    data: (chunk) => this.receiver.data(chunk),
    end: () => this.#finish(),
    fail: (defect, cause) => this.#failBody(defect, cause),
  };

  #finish(): void {
    this.receiver.end();
    this.#over(undefined, undefined);
  }

  #tooLarge(): void {
    this.#failBody('too-large', undefined);
  }

  #failBody(defect: BodyDefect, cause: unknown): void {
    if (this.#isOver) return;
    this.#exchange?.cancel(new Error(defect), false);
    this.#inflater?.destroy();
    const error = this.#bodyError(defect, cause);
    this.receiver.fail(error);
    this.#over({ error }, defect === 'too-large' ? undefined : error);
  }

  #bodyError(defect: BodyDefect, cause: unknown): Error {
    const details = { ...this.#details('body', 'all', cause), retryable: true };
    const code = codeOf(cause);
    if (defect === 'truncated') {
      return new TruncatedBodyError(`the body ended before its end (${code})`, details);
    }
    if (defect === 'invalid') return new DamagedBodyError(`the body is damaged (${code})`, details);
    const { maxBodyBytes } = this.#deps;
    const said = `the body is larger than maxBodyBytes, ${maxBodyBytes}`;
    return new BodyTooLargeError(said, { ...details, retryable: false });
  }

  fail(failure: ExchangeFailure): void {
    if (this.#isOver) return;
    const own = this.#ownFault(failure);
    if (own !== undefined) {
      this.#exchange?.cancel(own, false);
      this.#inflater?.destroy();
      this.receiver.fail(own);
      this.#over({ error: own }, undefined);
      const { written } = failure;
      this.#settle?.({ kind: 'failed', error: own, ...NOT_SENT, written, isTransient: false });
      return;
    }
    if (this.#hasHead) {
      // An invalid chunk; all else is a connection that broke.
      const isInvalid = String(propertyOf(failure.cause, 'code')).startsWith('HPE_INVALID_CHUNK');
      this.#failBody(isInvalid ? 'invalid' : 'truncated', failure.cause);
      return;
    }
    const { cause, written } = failure;
    const isTransient = isTransientError(cause);
    const where = written === 'all' ? 'headers' : 'request';
    const error = new FetchFailedError(`the connection broke (${codeOf(cause)})`, {
      ...this.#details(where, written, cause),
      // A stream that has been read cannot be sent again.
      retryable: isTransient && isReplayable(this.#deps.request.body),
    });
    // That a kept connection is closed says nothing of the server's health, nor does a stream it refused.
    const isNeutral =
      failure.isReuseRace || failure.isUntouched || failure.isCounted || !isTransient;
    this.#over({ error }, isNeutral ? undefined : error);
    this.#settle?.({ kind: 'failed', error, isTransient, ...failure });
  }

  /** A failure on this side, which says nothing of the server: the client is closed, or the request's body failed. */
  #ownFault({ cause, written }: ExchangeFailure): Error | undefined {
    const closed = [...errorChain(cause)].find((each) => each instanceof NetworkClosedError);
    if (closed !== undefined) {
      const where = this.#hasHead ? 'body' : written === 'all' ? 'headers' : 'request';
      const said = 'the client was closed before the end of the answer';
      return new FetchFailedError(said, this.#details(where, written, closed));
    }
    const failed = [...errorChain(cause)].find((each) => each instanceof BodySourceError);
    if (failed === undefined || this.#hasHead) return undefined;
    return new FetchFailedError(
      `the body of the request failed (${codeOf(failed.cause)}); a stream is read once, so call again with a new one`,
      this.#details('request', written, failed.cause),
    );
  }

  #details(where: FetchStage, written: Written, cause: unknown): FetchErrorDetails {
    const { origin, writtenBefore } = this.#deps;
    return {
      where,
      written: moreWritten(written, writtenBefore),
      endpoint: {
        origin: origin.name,
        ...(this.#address !== undefined && { address: this.#address }),
      },
      ...(cause !== undefined && { cause }),
    };
  }

  resume(): void {
    if (this.#inflater === undefined) this.#exchange?.resume();
    else this.#inflater.resume();
  }

  /** Nobody reads the body: the reader has canceled it, or the call goes on elsewhere. */
  discard(reason: unknown): void {
    if (this.#isOver) return;
    this.#exchange?.cancel(reason, false);
    this.#inflater?.destroy();
    this.#over(undefined, undefined);
  }

  /** Calls `onOver` when the last byte has come, or none will. */
  whenOver(onOver: (failure: { readonly error: unknown } | undefined) => void): void {
    if (this.#isOver) onOver(this.#failure);
    else this.#onOver = onOver;
  }

  #releaseSlot(): void {
    this.#release?.();
    this.#release = undefined;
  }

  #over(failure: { readonly error: unknown } | undefined, ofServer: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    const { limit, deadline } = this.#deps;
    if (limit !== deadline) limit.release();
    this.#releaseSlot();
    if (ofServer !== undefined) this.#permit?.failure(ofServer);
    else if (this.#hasHead) this.#permit?.success();
    else this.#permit?.release();
    this.#onOver?.(failure);
  }
}

const NOT_SENT = { written: 'none', isUntouched: false, isReuseRace: false } as const;
/** The server is well, and does not know what it is asked. */
const OF_THE_REQUEST = new Set([501, 505]);
export const NULL_BODY: ReadonlySet<number> = new Set([204, 205, 304]);
