import { type Clock, LinkedList, type Timer } from '@holdfast/foundation';
import { type CircuitBreaker, createCircuitBreaker } from '@holdfast/resilience';
import type { BackendFailure } from '../backend.ts';
import type { BackendHealth } from '../storage.ts';
import type { KeyReplica } from './key-replica.ts';

/** What a lane's turn says about the backend. `nothing`: it was not asked, or what was asked was refused. */
export type DeliveryOutcome =
  | { readonly kind: 'answered' }
  | { readonly kind: 'failed'; readonly failure: BackendFailure }
  | { readonly kind: 'denied'; readonly failure: BackendFailure }
  | { readonly kind: 'nothing' };

export interface DeliveryQueueOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly maxConcurrent: number;
  readonly failureThreshold: number;
  readonly openDurationMs: number;
  readonly maxOpenDurationMs: number;
  readonly deniedProbeMs: number;
  /** Never rejects. */
  readonly turn: (lane: KeyReplica) => Promise<DeliveryOutcome>;
  /** The turn is over, and what it said of the backend is known. */
  readonly ended: (lane: KeyReplica) => void;
  readonly changed: (failure: BackendFailure | undefined) => void;
}

/**
 * Gives waiting lanes their turn at a backend, as many at a time as it can take:
 *
 *              failures                          canary fails
 *      up ─────────────────▶ down ◀───────────────────┐
 *      ▲ ▲                    │ circuit half-open: one canary
 *      │ └── ramped up        ▼                       │
 *      └──────────────── recovering (1, 2, 4 ... at a time)
 *
 *      any ── denied ──▶ denied ── a probe is let in, one in `deniedProbeMs` ──▶ recovering
 */
export class DeliveryQueue {
  readonly #options: DeliveryQueueOptions;
  readonly #circuit: CircuitBreaker;
  readonly #line = new LinkedList<KeyReplica>();
  readonly #timers = new Map<KeyReplica, Timer>();
  #inFlight = 0;
  /** How many may be in flight at the moment. */
  #limit: number;
  /** Until when nothing is sent to a backend that denies. */
  #parkedUntilMs: number | undefined;
  #wakeUp: Timer | undefined;
  #state: BackendHealth = 'up';
  #isClosed = false;

  constructor(options: DeliveryQueueOptions) {
    this.#options = options;
    this.#limit = options.maxConcurrent;
    this.#circuit = createCircuitBreaker({
      name: options.name,
      clock: options.clock,
      failureThreshold: options.failureThreshold,
      openDurationMs: options.openDurationMs,
      openDurationMultiplier: 2,
      maxOpenDurationMs: options.maxOpenDurationMs,
      probeTimeoutMs: Number.MAX_SAFE_INTEGER,
      nextOpenDurationMs: ({ error }) => retryAfterMsIn(error),
    });
  }

  get state(): BackendHealth {
    return this.#state;
  }

  get waiting(): number {
    return this.#line.size + this.#timers.size;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Gives a waiting lane a place at the end of the line. */
  add(lane: KeyReplica): void {
    this.#timers.get(lane)?.cancel();
    this.#timers.delete(lane);
    this.#line.append(lane);
    this.#pump();
  }

  /** The same, in `delayMs`. */
  addLater(lane: KeyReplica, delayMs: number): void {
    if (this.#isClosed) return;
    this.#timers.get(lane)?.cancel();
    const timer = this.#options.clock.schedule(delayMs, () => this.add(lane), {
      holdsProcess: false,
    });
    this.#timers.set(lane, timer);
  }

  remove(lane: KeyReplica): void {
    this.#line.remove(lane);
    this.#timers.get(lane)?.cancel();
    this.#timers.delete(lane);
  }

  close(): void {
    this.#isClosed = true;
    for (const lane of this.#line) this.#line.remove(lane);
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#wakeUp?.cancel();
  }

  #pump(): void {
    while (!this.#isClosed && this.#inFlight < this.#limit) {
      const lane = this.#line.first;
      if (lane === undefined) return;
      const nowMs = this.#options.clock.now();
      if (this.#parkedUntilMs !== undefined && nowMs < this.#parkedUntilMs) {
        this.#wakeIn(this.#parkedUntilMs - nowMs);
        return;
      }
      const permit = this.#circuit.tryAcquire();
      if (!permit.granted) {
        // Half-open, its probe is out: the probe's end pumps again.
        if (permit.retryAfterMs !== undefined) this.#wakeIn(permit.retryAfterMs);
        return;
      }
      this.#line.remove(lane);
      this.#inFlight += 1;
      void this.#options.turn(lane).then((result) => {
        this.#inFlight -= 1;
        if (result.kind === 'failed') permit.failure(result.failure);
        else if (result.kind === 'nothing') permit.release();
        else permit.success();
        this.#took(result);
        this.#options.ended(lane);
        this.#pump();
      });
    }
  }

  #took(result: DeliveryOutcome): void {
    if (result.kind === 'denied') {
      this.#parkedUntilMs = this.#options.clock.now() + this.#options.deniedProbeMs;
      this.#limit = 1;
    } else if (result.kind === 'answered') {
      this.#parkedUntilMs = undefined;
      // One more for each that succeeded doubles with every round: 1, 2, 4 ...
      const { maxConcurrent } = this.#options;
      const hasAll = this.#line.size === 0 && this.#inFlight === 0;
      this.#limit = hasAll ? maxConcurrent : Math.min(maxConcurrent, this.#limit + 1);
    } else if (this.#circuit.state !== 'closed') {
      this.#limit = 1;
    }
    this.#look('failure' in result ? result.failure : undefined);
  }

  #look(failure: BackendFailure | undefined): void {
    const isDown = this.#circuit.state !== 'closed';
    const isWhole = this.#limit === this.#options.maxConcurrent;
    const state =
      this.#parkedUntilMs !== undefined
        ? 'denied'
        : isDown
          ? 'down'
          : isWhole
            ? 'up'
            : 'recovering';
    if (state === this.#state) return;
    this.#state = state;
    this.#options.changed(failure);
  }

  #wakeIn(delayMs: number): void {
    this.#wakeUp?.cancel();
    this.#wakeUp = this.#options.clock.schedule(Math.max(1, delayMs), () => this.#pump(), {
      holdsProcess: false,
    });
  }
}

function retryAfterMsIn(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('retryAfterMs' in error)) return undefined;
  return typeof error.retryAfterMs === 'number' && error.retryAfterMs > 0
    ? error.retryAfterMs
    : undefined;
}
