import type { Clock } from '@holdfast/foundation';
import type { BackendFailure, FailureKind, StorageBackend } from '../backend.ts';
import type { Operation } from '../operation.ts';
import type { BackendHealth, BackendStats } from '../storage.ts';
import type { Lane } from './lane.ts';
import { Track, type TurnResult } from './track.ts';

export interface ChannelTuning {
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
  readonly turn: (channel: Channel, lane: Lane) => Promise<TurnResult>;
  readonly ended: (channel: Channel, lane: Lane) => void;
  readonly changed: (channel: Channel, from: BackendHealth) => void;
}

const severity: readonly BackendHealth[] = ['up', 'recovering', 'down', 'denied'];

/**
 * The way to one backend: small writes and large ones have a track each, so that neither the many hold up
 * the long, nor a long one that fails says anything about the many.
 */
export class Channel {
  readonly backend: StorageBackend;
  /** Its place in the order of the backends; 0 is the primary. */
  readonly place: number;
  readonly counts = {
    puts: 0,
    putBytes: 0,
    removes: 0,
    heads: 0,
    alreadyApplied: 0,
    folded: 0,
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
  answeredAtMs: number = -Infinity;
  readonly #small: Track;
  readonly #large: Track;
  #state: BackendHealth = 'up';

  constructor(backend: StorageBackend, place: number, tuning: ChannelTuning, host: ChannelHost) {
    this.backend = backend;
    this.place = place;
    const track = (name: string, maxConcurrent: number): Track =>
      new Track({
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
  flows(operation: Operation): boolean {
    return this.#trackOf(operation).state === 'up';
  }

  add(lane: Lane, operation: Operation): void {
    this.remove(lane);
    this.#trackOf(operation).add(lane);
  }

  addLater(lane: Lane, operation: Operation, delayMs: number): void {
    this.remove(lane);
    this.#trackOf(operation).addLater(lane, delayMs);
  }

  remove(lane: Lane): void {
    this.#small.remove(lane);
    this.#large.remove(lane);
  }

  failed(failure: BackendFailure): void {
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

  #trackOf({ kind, size }: Operation): Track {
    return kind === 'put' && size > this.backend.largeFromBytes ? this.#large : this.#small;
  }
}
