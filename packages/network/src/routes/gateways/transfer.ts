import { type Hash, createHash } from 'node:crypto';
import { type Clock, abortable, describeThrown, withDeadline } from '@holdfast/foundation';
import { CircuitOpenError } from '@holdfast/resilience';
import { makeAttempts } from '../attempts.ts';
import {
  ContentCutError,
  ContentMismatchError,
  ContentTooLargeError,
  GatewaysFailedError,
  type RouteAttempt,
  RouteTimeoutError,
} from '../errors.ts';
import { type Gateway, type GatewayResponse, cancelBody } from './gateway.ts';
import type { ContentVerifier } from './gateways.ts';
import type { ResolvedDownload, ResolvedGatewaysOptions } from './gateways-options.ts';

/** A gateway that goes on sending a little before it fails is asked this often. */
const MAX_TRIES_OF_ONE = 5;

/** What the transfers of one download share. */
export interface DownloadProgress {
  readonly attempts: RouteAttempt[];
  /** How often each gateway has failed. */
  readonly failures: Map<Gateway, number>;
  onFailed(gateway: Gateway, error: unknown): void;
  onResumed(gateway: Gateway, offset: number): void;
}

interface TransferDeps {
  readonly gateways: readonly Gateway[];
  readonly options: ResolvedGatewaysOptions;
  readonly call: ResolvedDownload;
  readonly progress: DownloadProgress;
  /** `false`: all of the content is from one gateway, and a failure after its first byte ends the transfer. */
  readonly mayResume: boolean;
  readonly signal: AbortSignal;
}

/** Where a response continues. */
type Join =
  /** At the wanted byte. */
  | { readonly kind: 'rest' }
  /** At the first byte: so many have been received, and must be the same. */
  | { readonly kind: 'whole'; readonly skip: number };

/**
 * One copy of the content, from its first to its last byte, if need be by several gateways: the second is asked for the rest by
 * Range. With a verifier the whole is judged at the end. Without one the rest is joined only by the same strong ETag;
 * otherwise all is received again and must begin as what was given.
 */
export class ContentTransfer {
  readonly #deps: TransferDeps;
  readonly #clock: Clock;
  readonly #verifier: ContentVerifier | undefined;
  readonly #beginning: Hash = createHash('sha256');
  readonly sources: Gateway[] = [];
  #offset = 0;
  #etag: string | undefined;

  constructor(deps: TransferDeps) {
    this.#deps = deps;
    this.#clock = deps.options.clock;
    this.#verifier = deps.call.createVerifier?.();
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    const { signal, mayResume } = this.#deps;
    while (true) {
      const opened = await this.#open();
      const { gateway, permit, response } = opened;
      let isSettled = false;
      try {
        if (this.#offset > 0) this.#deps.progress.onResumed(gateway, this.#offset);
        yield* this.#read(opened);
        if (this.#offset === 0) this.sources.push(gateway);
        await this.#verify();
        isSettled = true;
        permit.success();
        return;
      } catch (error) {
        isSettled = true;
        if (signal.aborted) {
          permit.release();
          throw signal.reason;
        }
        // Of joined parts nobody knows which one is wrong.
        if (error instanceof ContentMismatchError && error.gateways.length > 1) permit.release();
        else gateway.failed(permit, error);
        this.#failed(gateway, error);
        const isFinal =
          error instanceof ContentMismatchError || error instanceof ContentTooLargeError;
        if (isFinal || (!mayResume && this.#offset > 0)) throw error;
      } finally {
        // The reader of the chunks has stopped.
        if (!isSettled) permit.release();
        cancelBody(response);
      }
    }
  }

  /** Asks the gateways in their order, those that have failed last, until one answers. */
  async #open(): Promise<GatewayResponse> {
    const { progress, call, options, signal } = this.#deps;
    const left = this.#candidates();
    const refused: Gateway[] = [];
    const result = await makeAttempts<GatewayResponse>({
      clock: this.#clock,
      signal,
      next: (cause) => {
        const first = left.shift();
        // The last resort: a gateway whose circuit is open may be back.
        const gateway = first ?? (cause === 'late' ? undefined : refused.shift());
        if (gateway === undefined) return undefined;
        const isLast = first === undefined;
        return async (own) => {
          try {
            const value = await gateway.request(
              call.path,
              this.#headers(),
              Math.ceil(call.timeoutMs),
              own,
              isLast,
            );
            if (!own.aborted) return { kind: 'done', value };
            value.permit.release();
            cancelBody(value.response);
            return { kind: 'failed', error: own.reason, isFinal: true };
          } catch (error) {
            if (!own.aborted && !(isLast && error instanceof CircuitOpenError)) {
              this.#failed(gateway, error);
            }
            if (!isLast && error instanceof CircuitOpenError) refused.push(gateway);
            return { kind: 'failed', error, isFinal: false };
          }
        };
      },
      lateAfterMs: () => (options.strategy === 'fastest' ? options.hedgeAfterMs : undefined),
    });
    if (result.kind === 'done') return result.value;
    throw new GatewaysFailedError(call.path, progress.attempts);
  }

  #candidates(): Gateway[] {
    const { failures } = this.#deps.progress;
    const failuresOf = (gateway: Gateway): number => failures.get(gateway) ?? 0;
    return this.#deps.gateways
      .filter((gateway) => failuresOf(gateway) < this.#triesOf(gateway))
      .toSorted((left, right) => failuresOf(left) - failuresOf(right));
  }

  /** One that sent a part of the content may continue it later. */
  #triesOf(gateway: Gateway): number {
    return this.#deps.mayResume && this.sources.includes(gateway) ? MAX_TRIES_OF_ONE : 1;
  }

  #headers(): Record<string, string> {
    // Positions count in the bytes that are sent.
    const headers: Record<string, string> = {
      ...this.#deps.call.headers,
      'accept-encoding': 'identity',
    };
    if (this.#offset === 0) return headers;
    if (this.#verifier !== undefined) headers['range'] = `bytes=${this.#offset}-`;
    else if (this.#etag !== undefined) {
      headers['range'] = `bytes=${this.#offset}-`;
      headers['if-range'] = this.#etag;
    }
    return headers;
  }

  async *#read({ gateway, response }: GatewayResponse): AsyncGenerator<Uint8Array, void, void> {
    const { call } = this.#deps;
    const join = this.#joinOf(gateway, response);
    const isEncoded = (response.headers.get('content-encoding') ?? 'identity') !== 'identity';
    const announced = isEncoded ? undefined : lengthOf(response);
    if (this.#offset === 0) this.#etag = isEncoded ? undefined : strongEtag(response);
    const start = join.kind === 'rest' ? this.#offset : 0;
    if (start + (announced ?? 0) > call.maxBytes) {
      throw new ContentTooLargeError(gateway.url, call.path, call.maxBytes);
    }
    const skipped = join.kind === 'whole' && join.skip > 0 ? createHash('sha256') : undefined;
    let toSkip = join.kind === 'whole' ? join.skip : 0;
    let received = 0;
    for await (const chunk of this.#bodyOf(gateway, response)) {
      received += chunk.length;
      if (start + received > call.maxBytes) {
        throw new ContentTooLargeError(gateway.url, call.path, call.maxBytes);
      }
      const again = chunk.subarray(0, toSkip);
      skipped?.update(again);
      toSkip -= again.length;
      if (toSkip === 0 && again.length > 0) this.#requireEqualBeginning(gateway, skipped);
      const fresh = chunk.subarray(again.length);
      if (fresh.length === 0) continue;
      this.#accept(gateway, fresh);
      yield fresh;
    }
    if (toSkip > 0 || (announced !== undefined && received < announced)) {
      throw new ContentCutError(gateway.url, received, announced ?? start + this.#offset);
    }
  }

  #accept(gateway: Gateway, chunk: Uint8Array): void {
    if (!this.sources.includes(gateway)) this.sources.push(gateway);
    this.#offset += chunk.length;
    this.#beginning.update(chunk);
    this.#verifier?.update(chunk);
  }

  #joinOf(gateway: Gateway, response: Response): Join {
    if (response.status === 200) return { kind: 'whole', skip: this.#offset };
    const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '');
    const isWanted = range !== null && Number(range[1]) === this.#offset && this.#offset > 0;
    const isProved = this.#verifier !== undefined || strongEtag(response) === this.#etag;
    if (isWanted && isProved) return { kind: 'rest' };
    const seen = `a part that does not continue at byte ${this.#offset} of the same content`;
    throw this.#notJoined(gateway, seen);
  }

  #requireEqualBeginning(gateway: Gateway, skipped: Hash | undefined): void {
    const expected = this.#beginning.copy().digest();
    if (skipped?.digest().equals(expected) === true) return;
    throw this.#notJoined(gateway, `their first ${this.#offset} bytes differ`);
  }

  #notJoined(gateway: Gateway, seen: string): ContentMismatchError {
    const urls = [...this.sources.map(({ url }) => url), gateway.url];
    return new ContentMismatchError(this.#deps.call.path, urls, seen);
  }

  async #verify(): Promise<void> {
    if (this.#verifier === undefined) return;
    let seen = 'its digest differs, or the verifier refused it';
    try {
      if (await this.#verifier.matches()) return;
    } catch (error) {
      seen = `the verifier threw ${describeThrown(error)}`;
    }
    const urls = this.sources.map(({ url }) => url);
    throw new ContentMismatchError(this.#deps.call.path, urls, seen);
  }

  async *#bodyOf(gateway: Gateway, response: Response): AsyncGenerator<Uint8Array, void, void> {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    const { options, signal } = this.#deps;
    const { stallTimeoutMs } = options;
    const late = (): Error => new RouteTimeoutError(`the body from ${gateway.url}`, stallTimeoutMs);
    try {
      while (true) {
        const { done, value } = await withDeadline(
          this.#clock,
          stallTimeoutMs,
          signal,
          late,
          (limit) => abortable(reader.read(), limit),
        );
        if (done) return;
        yield value;
      }
    } finally {
      // Does nothing at the end of the body; else it closes the connection.
      reader.cancel().catch(() => {});
    }
  }

  #failed(gateway: Gateway, error: unknown): void {
    const { failures, attempts } = this.#deps.progress;
    failures.set(gateway, (failures.get(gateway) ?? 0) + 1);
    attempts.push({ target: gateway.url, error });
    this.#deps.progress.onFailed(gateway, error);
  }
}

function lengthOf(response: Response): number | undefined {
  const text = response.headers.get('content-length');
  return text === null || !/^\d+$/.test(text) ? undefined : Number(text);
}

/** Equal strong ETags mean equal bytes; weak ones do not. */
function strongEtag(response: Response): string | undefined {
  const etag = response.headers.get('etag');
  return etag === null || etag.startsWith('W/') ? undefined : etag;
}
