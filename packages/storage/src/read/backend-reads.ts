import { type Clock, sleep } from '@holdfast/foundation';
import { type CircuitBreaker, createCircuitBreaker } from '@holdfast/resilience';
import { type BackendResult, type StorageBackend, fail, toResult } from '../backend.ts';
import { StorageUnavailableError } from '../errors.ts';
import type { BackendWriter } from '../replication/backend-writer.ts';
import { retryAfterMsIn } from '../replication/delivery-queue.ts';

export interface BackendReadsDeps {
  /** The backends in their order, as they are written to. */
  readonly writers: readonly BackendWriter[];
  readonly clock: Clock;
  readonly circuitBreaker: {
    readonly failureThreshold: number;
    readonly openDurationMs: number;
    readonly maxOpenDurationMs: number;
  };
}

/** A read that no other source answers waits so long for a backend that asks its clients to wait. */
const MAX_WAIT_MS = 2_000;

/**
 * The reads of each backend: none goes to one whose circuit is open, or before the time that it asked for, so that the
 * next backend is asked at once.
 */
export class BackendReads {
  readonly #deps: BackendReadsDeps;
  readonly #circuits: readonly CircuitBreaker[];
  /** By the index of the backend. */
  readonly #pausedUntilMs = new Map<number, number>();

  constructor(deps: BackendReadsDeps) {
    this.#deps = deps;
    const { circuitBreaker, clock } = deps;
    this.#circuits = deps.writers.map(({ backend }) =>
      createCircuitBreaker({ ...circuitBreaker, name: `${backend.name} reads`, clock }),
    );
  }

  /** Whether reads and writes of a backend succeed. */
  isUp({ index, state }: BackendWriter): boolean {
    return state === 'up' && this.#circuits[index]?.state === 'closed';
  }

  async call<T>(
    writer: BackendWriter,
    signal: AbortSignal,
    call: (backend: StorageBackend) => Promise<BackendResult<T>>,
  ): Promise<BackendResult<T>> {
    const { clock, circuitBreaker } = this.#deps;
    const retryAfterMs = (this.#pausedUntilMs.get(writer.index) ?? -Infinity) - clock.now();
    if (retryAfterMs > 0) return fail('transient', 'it asked to wait', { retryAfterMs });
    const permit = this.#circuits[writer.index]?.tryAcquire();
    if (permit?.granted === false) return fail('transient', 'not called after its failures');
    const result = await toResult('read', () => call(writer.backend));
    // A call that its caller aborted shows nothing about the backend.
    if (signal.aborted) permit?.release();
    else if (result.kind === 'transient' || result.kind === 'unknown') {
      writer.recordFailure(result);
      permit?.failure(result);
      const pauseMs = Math.min(retryAfterMsIn(result) ?? 0, circuitBreaker.maxOpenDurationMs);
      if (pauseMs > 0) this.#pausedUntilMs.set(writer.index, clock.now() + pauseMs);
    } else {
      writer.probe.answered();
      permit?.success();
    }
    return result;
  }

  /**
   * Reads once more when no source answers and a backend asks for a short wait.
   * @throws what `read` throws, the signal's own reason
   */
  async waiting<T>(signal: AbortSignal, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      const waitMs = error instanceof StorageUnavailableError ? error.retryAfterMs : undefined;
      if (waitMs === undefined || waitMs > MAX_WAIT_MS) throw error;
      await sleep(this.#deps.clock, waitMs, signal);
      return read();
    }
  }
}
