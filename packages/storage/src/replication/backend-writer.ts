import type { Clock, Emitter } from '@holdfast/foundation';
import type { StorageFailure, FailureKind, StorageBackend } from '../backend.ts';
import type { Operation } from '../journal/operation.ts';
import type { BackendHealth, BackendStats, StorageEvents } from '../storage.ts';
import {
  type DeliveryResult,
  DeliveryQueue,
  type DeliveryQueueOptions,
  type QueuedDelivery,
} from './delivery-queue.ts';
import { HealthProbe } from './health-probe.ts';

interface BackendWriterDeps extends Pick<DeliveryQueueOptions, 'circuitBreaker' | 'deniedProbeMs'> {
  readonly clock: Clock;
  readonly emitter: Emitter<StorageEvents>;
  readonly maxConcurrent: number;
  readonly maxConcurrentLarge: number;
}

const severity: readonly BackendHealth[] = ['up', 'recovering', 'down', 'denied'];

/**
 * Sends writes to one backend. Small and large writes have a queue each: many small ones do not hold up a
 * large one, and a large one that fails says nothing about the small ones.
 */
export class BackendWriter {
  readonly backend: StorageBackend;
  /** Position in the order of the backends; 0 is the primary. */
  readonly index: number;
  readonly counts = {
    puts: 0,
    putBytes: 0,
    removes: 0,
    heads: 0,
    alreadyApplied: 0,
    superseded: 0,
  };
  readonly failures: Record<FailureKind, number> = {
    notFound: 0,
    conflict: 0,
    denied: 0,
    invalid: 0,
    transient: 0,
    unknown: 0,
  };
  lastError: string | undefined;
  /** Keys whose newest write it lacks, or is to be read back. */
  openKeys = 0;
  settledSinceDrained = 0;
  /** When it last took a write of any key. */
  lastAcceptedAtMs: number = -Infinity;
  readonly probe: HealthProbe;
  readonly #deps: BackendWriterDeps;
  readonly #small: DeliveryQueue;
  readonly #large: DeliveryQueue;
  #state: BackendHealth = 'up';

  constructor(backend: StorageBackend, index: number, deps: BackendWriterDeps) {
    this.backend = backend;
    this.index = index;
    this.#deps = deps;
    const { clock, circuitBreaker, deniedProbeMs } = deps;
    this.probe = new HealthProbe(backend, clock);
    const onStateChange = (): void => this.#updateState();
    const common = { clock, circuitBreaker, deniedProbeMs, onStateChange };
    this.#small = new DeliveryQueue({
      ...common,
      name: `${backend.name} writes`,
      maxConcurrent: deps.maxConcurrent,
    });
    this.#large = new DeliveryQueue({
      ...common,
      name: `${backend.name} large writes`,
      maxConcurrent: deps.maxConcurrentLarge,
    });
  }

  get state(): BackendHealth {
    return this.#state;
  }

  /** Whether writes of this size are sent without delay. */
  acceptsImmediately(operation: Operation): boolean {
    return this.#queueFor(operation).state === 'up';
  }

  /** Starts `work` when the backend has a slot for the operation, after `delayMs` at the earliest. */
  run(operation: Operation, work: () => Promise<DeliveryResult>, delayMs: number): QueuedDelivery {
    this.probe.key = operation.key;
    const watched = async (): Promise<DeliveryResult> => {
      const result = await work();
      const { kind } = result.outcome;
      if (kind === 'responded' || kind === 'denied') this.probe.answered();
      return result;
    };
    return this.#queueFor(operation).run(watched, delayMs);
  }

  recordFailure(failure: StorageFailure): void {
    this.failures[failure.kind] += 1;
    this.lastError = failure.message;
  }

  stats(): BackendStats {
    return {
      state: this.#state,
      waiting: this.#small.waiting + this.#large.waiting,
      inFlight: this.#small.inFlight + this.#large.inFlight,
      ...this.counts,
      failures: { ...this.failures },
    };
  }

  close(): void {
    this.probe.close();
    this.#small.close();
    this.#large.close();
  }

  #updateState(): void {
    // An idle large queue does not count: nothing would ever show that it is up again.
    const isLargeBusy = this.#large.waiting + this.#large.inFlight > 0;
    const rank = Math.max(
      severity.indexOf(this.#small.state),
      isLargeBusy ? severity.indexOf(this.#large.state) : 0,
    );
    const from = this.#state;
    this.#state = severity[rank] ?? 'up';
    if (this.#state === from) return;
    this.#deps.emitter.emit('backend', {
      backend: this.backend.name,
      from,
      to: this.#state,
      ...(this.lastError !== undefined && this.#state !== 'up' && { error: this.lastError }),
      atMs: this.#deps.clock.now(),
    });
  }

  #queueFor({ kind, size }: Operation): DeliveryQueue {
    return kind === 'put' && size > this.backend.largeFromBytes ? this.#large : this.#small;
  }
}
