import type { Clock } from '@holdfast/foundation';
import type { BackendFailure, FailureKind, StorageBackend } from '../backend.ts';
import type { Operation } from '../journal/operation.ts';
import type { BackendHealth, BackendStats } from '../storage.ts';
import type { KeyReplica } from './key-replica.ts';
import { DeliveryQueue, type DeliveryOutcome } from './delivery-queue.ts';

export interface BackendWriterOptions {
  readonly clock: Clock;
  readonly maxConcurrent: number;
  readonly maxConcurrentLarge: number;
  readonly failureThreshold: number;
  readonly openDurationMs: number;
  readonly maxOpenDurationMs: number;
  readonly deniedProbeMs: number;
}

export interface ChannelHost {
  /** Never rejects. */
  readonly turn: (channel: BackendWriter, lane: KeyReplica) => Promise<DeliveryOutcome>;
  readonly ended: (channel: BackendWriter, lane: KeyReplica) => void;
  readonly changed: (channel: BackendWriter, from: BackendHealth) => void;
}

const severity: readonly BackendHealth[] = ['up', 'recovering', 'down', 'denied'];

/**
 * The way to one backend: small writes and large ones have a track each, so that neither the many hold up
 * the long, nor a long one that fails says anything about the many.
 */
export class BackendWriter {
  readonly backend: StorageBackend;
  /** Its place in the order of the backends; 0 is the primary. */
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
  /** When it last took a write of any key. */
  lastAcceptedAtMs: number = -Infinity;
  readonly #small: DeliveryQueue;
  readonly #large: DeliveryQueue;
  #state: BackendHealth = 'up';

  constructor(
    backend: StorageBackend,
    place: number,
    tuning: BackendWriterOptions,
    host: ChannelHost,
  ) {
    this.backend = backend;
    this.index = place;
    const track = (name: string, maxConcurrent: number): DeliveryQueue =>
      new DeliveryQueue({
        ...tuning,
        name: `${backend.name} ${name}`,
        maxConcurrent,
        turn: (lane) => host.turn(this, lane),
        ended: (lane) => host.ended(this, lane),
        changed: () => {
          const from = this.#state;
          this.#state = this.#worst();
          if (this.#state !== from) host.changed(this, from);
        },
      });
    this.#small = track('writes', tuning.maxConcurrent);
    this.#large = track('large writes', tuning.maxConcurrentLarge);
  }

  get state(): BackendHealth {
    return this.#state;
  }

  /** Whether writes of this size are taken as they come. */
  isUpFor(operation: Operation): boolean {
    return this.#trackOf(operation).state === 'up';
  }

  add(lane: KeyReplica, operation: Operation): void {
    this.remove(lane);
    this.#trackOf(operation).add(lane);
  }

  addLater(lane: KeyReplica, operation: Operation, delayMs: number): void {
    this.remove(lane);
    this.#trackOf(operation).addLater(lane, delayMs);
  }

  remove(lane: KeyReplica): void {
    this.#small.remove(lane);
    this.#large.remove(lane);
  }

  recordFailure(failure: BackendFailure): void {
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
    this.#small.close();
    this.#large.close();
  }

  /** The large track counts only while it is not merely idle behind a small one that is well. */
  #worst(): BackendHealth {
    const rank = Math.max(
      severity.indexOf(this.#small.state),
      this.#large.waiting + this.#large.inFlight > 0 ? severity.indexOf(this.#large.state) : 0,
    );
    return severity[rank] ?? 'up';
  }

  #trackOf({ kind, size }: Operation): DeliveryQueue {
    return kind === 'put' && size > this.backend.largeFromBytes ? this.#large : this.#small;
  }
}
