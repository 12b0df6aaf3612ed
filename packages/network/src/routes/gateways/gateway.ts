import { abortable, parseRetryAfter, withDeadline } from '@holdfast/foundation';
import {
  type CircuitBreaker,
  type CircuitPermit,
  CircuitOpenError,
  createCircuitBreaker,
} from '@holdfast/resilience';
import { RetryLaterError } from '../../fetch/errors.ts';
import { GatewayResponseError, RouteTimeoutError } from '../errors.ts';
import type { ResolvedGatewaysOptions } from './gateways-options.ts';

/** A response whose body is the content, or the rest of it. */
export interface GatewayResponse {
  readonly gateway: Gateway;
  readonly response: Response;
  readonly permit: CircuitPermit;
}

/** How many times as long as a probe of an open circuit the pause after it is. */
const PROBE_PAUSES = 9;

/** One server with its circuit. */
export class Gateway {
  readonly url: string;
  readonly breaker: CircuitBreaker;
  readonly #options: ResolvedGatewaysOptions;
  #probe: CircuitPermit | undefined;
  #nextProbeMs = 0;
  requests = 0;
  failures = 0;

  constructor(url: string, options: ResolvedGatewaysOptions) {
    this.url = url;
    this.#options = options;
    this.breaker = createCircuitBreaker({
      ...options.circuitBreaker,
      name: url,
      clock: options.clock,
    });
  }

  /**
   * Resolves with the head of a response 200 or 206; its body is open, its permit not settled.
   * @param isLast when no gateway is left whose circuit admits a call: this one is asked though its own is open.
   * @throws CircuitOpenError, GatewayResponseError, RouteTimeoutError, or the error of fetch
   */
  async request(
    path: string,
    headers: Record<string, string>,
    timeoutMs: number,
    signal: AbortSignal,
    isLast: boolean,
  ): Promise<GatewayResponse> {
    const permit = this.#permit(isLast);
    this.requests += 1;
    try {
      const { clock, headTimeoutMs, fetch } = this.#options;
      const late = (): Error => new RouteTimeoutError(this.url, headTimeoutMs);
      const response = await withDeadline(clock, headTimeoutMs, signal, late, async (limit) => {
        const work = fetch(`${this.url}${path}`, { headers, signal: limit, timeoutMs });
        // One that comes after the abort is given up.
        return abortable(work, limit, () => void work.then(cancelBody, () => {}));
      });
      if (response.status === 200 || response.status === 206)
        return { gateway: this, response, permit: this.#answered(permit) };
      cancelBody(response);
      const retryAfter = response.headers.get('retry-after');
      const waitMs = retryAfter === null ? undefined : parseRetryAfter(retryAfter, clock.epochMs());
      throw new GatewayResponseError(this.url, response.status, waitMs);
    } catch (error) {
      if (signal.aborted) permit.release();
      else this.failed(permit, error);
      throw error;
    }
  }

  /** @throws CircuitOpenError */
  #permit(isLast: boolean): CircuitPermit {
    const permit = this.breaker.tryAcquire();
    if (permit.granted) return permit;
    const { clock } = this.#options;
    const startedMs = clock.now();
    if (!isLast || startedMs < this.#nextProbeMs) {
      const { state, retryAfterMs } = permit;
      const none = { key: undefined, cause: undefined };
      throw new CircuitOpenError({ ...none, name: this.url, state, retryAfterMs });
    }
    // One at a time, and for a tenth of the time: a gateway that hangs costs few calls their time.
    this.#nextProbeMs = Infinity;
    const end = (): void => {
      const nowMs = clock.now();
      this.#nextProbeMs = nowMs + PROBE_PAUSES * (nowMs - startedMs);
      this.#probe = undefined;
    };
    const success = (): void => {
      end();
      this.breaker.reset();
    };
    this.#probe = { granted: true, success, failure: end, release: end };
    return this.#probe;
  }

  /** One that answers again is open to all at once, though its body still comes. */
  #answered(permit: CircuitPermit): CircuitPermit {
    if (permit !== this.#probe) return permit;
    permit.success();
    const next = this.breaker.tryAcquire();
    return next.granted ? next : permit;
  }

  /** A gateway that has not got the content, or asks to wait, is not ill. */
  failed(permit: CircuitPermit, error: unknown): void {
    this.failures += 1;
    const isAnswer = error instanceof GatewayResponseError || error instanceof RetryLaterError;
    const status = isAnswer ? error.status : 0;
    if (status === 429) permit.release();
    else if (status >= 300 && status < 500) permit.success();
    else permit.failure(error);
  }
}

/** Frees the connection of a body that nobody will read. */
export function cancelBody(response: Response): void {
  // A body that is locked or has failed cannot be canceled, and need not be.
  response.body?.cancel().catch(() => {});
}
