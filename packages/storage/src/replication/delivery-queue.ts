import { type Clock, LinkedList, ListNode, type Timer } from '@holdfast/foundation';
import {
  type CircuitBreaker,
  type CircuitPermit,
  createCircuitBreaker,
} from '@holdfast/resilience';
import type { StorageFailure } from '../backend.ts';
import type { BackendHealth } from '../storage.ts';

/** How a delivery ended. */
export interface DeliveryResult {
  readonly outcome: DeliveryOutcome;
  readonly next: ReplicaStep;
}

/** What a delivery shows about the backend. `inconclusive`: nothing, since it sent nothing or failed for one key alone. */
type DeliveryOutcome =
  | { readonly kind: 'responded' }
  | { readonly kind: 'failed' | 'denied'; readonly failure: StorageFailure }
  | { readonly kind: 'inconclusive' };

/** What happens to the key after a delivery. */
export type ReplicaStep =
  /** The backend has the operation, or a conflict over it is decided. */
  | { readonly kind: 'settled' }
  /** The backend still has the operation, and nothing can undo it any more. */
  | { readonly kind: 'verified' }
  | { readonly kind: 'refused'; readonly failure: StorageFailure }
  | { readonly kind: 'retryLater'; readonly delayMs: number };

export interface DeliveryQueueOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly maxConcurrent: number;
  readonly circuitBreaker: {
    readonly failureThreshold: number;
    readonly openDurationMs: number;
    readonly maxOpenDurationMs: number;
  };
  readonly deniedProbeMs: number;
  readonly onStateChange: () => void;
}

/** A longer wait that a backend asks for is taken for a mistake: writes would wait for ever. */
const MAX_RETRY_AFTER_MS = 3_600_000;

const ignore = (): void => undefined;

/** The position of one delivery in a {@link DeliveryQueue}. */
export class QueuedDelivery extends ListNode {
  readonly work: () => Promise<DeliveryResult>;
  /** Resolves with what the work returned; with `undefined` when the slot is canceled before it starts. */
  readonly delivery: Promise<DeliveryResult | undefined>;
  resolve: (delivery: DeliveryResult | undefined) => void = ignore;
  timer: Timer | undefined;
  readonly #queue: DeliveryQueue;

  constructor(queue: DeliveryQueue, work: () => Promise<DeliveryResult>) {
    super();
    this.#queue = queue;
    this.work = work;
    this.delivery = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  /** Leaves the queue; does nothing once the work has started. */
  cancel(): void {
    this.#queue.remove(this);
  }
}

/**
 * Starts deliveries to one backend in their order, as many at a time as the backend can take:
 *
 *              failures                          canary fails
 *      up ─────────────────▶ down ◀───────────────────┐
 *      ▲ ▲                    │ circuit half-open: one canary
 *      │ └── ramped up        ▼                       │
 *      └──────────────── recovering (1, 2, 4 ... at a time)
 *
 *      any ── asks to wait ──▶ down, until the time it asked for
 *      any ── denied ──▶ denied ── one probe every `deniedProbeMs` succeeds ──▶ recovering
 */
export class DeliveryQueue {
  readonly #options: DeliveryQueueOptions;
  readonly #circuit: CircuitBreaker;
  readonly #ready = new LinkedList<QueuedDelivery>();
  readonly #delayed = new LinkedList<QueuedDelivery>();
  #inFlight = 0;
  /** How many may be in flight now. */
  #limit: number;
  /** Nothing is sent to a backend that denies before this time. */
  #parkedUntilMs: number | undefined;
  /** Nothing is sent to a backend before the time that it asked for. */
  #pausedUntilMs = -Infinity;
  #wakeUp: Timer | undefined;
  #state: BackendHealth = 'up';
  #isClosed = false;

  constructor(options: DeliveryQueueOptions) {
    this.#options = options;
    this.#limit = options.maxConcurrent;
    this.#circuit = createCircuitBreaker({
      ...options.circuitBreaker,
      name: options.name,
      clock: options.clock,
      openDurationMultiplier: 2,
      probeTimeoutMs: Number.MAX_SAFE_INTEGER,
      nextOpenDurationMs: ({ error }) => retryAfterMsIn(error),
    });
  }

  get state(): BackendHealth {
    return this.#state;
  }

  get waiting(): number {
    return this.#ready.size + this.#delayed.size;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Starts `work` when it is its turn, after `delayMs` at the earliest.
   * @param work never rejects.
   */
  run(work: () => Promise<DeliveryResult>, delayMs: number): QueuedDelivery {
    const slot = new QueuedDelivery(this, work);
    if (this.#isClosed) slot.resolve(undefined);
    else if (delayMs > 0) this.#delay(slot, delayMs);
    else this.#append(slot);
    return slot;
  }

  remove(slot: QueuedDelivery): void {
    slot.timer?.cancel();
    if (this.#ready.remove(slot) || this.#delayed.remove(slot)) slot.resolve(undefined);
  }

  close(): void {
    this.#isClosed = true;
    for (const slot of this.#ready) this.remove(slot);
    for (const slot of this.#delayed) this.remove(slot);
    this.#wakeUp?.cancel();
  }

  #append(slot: QueuedDelivery): void {
    this.#ready.append(slot);
    this.#pump();
  }

  #delay(slot: QueuedDelivery, delayMs: number): void {
    this.#delayed.append(slot);
    const due = (): void => {
      this.#delayed.remove(slot);
      this.#append(slot);
    };
    slot.timer = this.#options.clock.schedule(delayMs, due, { holdsProcess: false });
  }

  #pump(): void {
    while (!this.#isClosed && this.#inFlight < this.#limit) {
      const slot = this.#ready.first;
      if (slot === undefined) return;
      const nowMs = this.#options.clock.now();
      const untilMs = Math.max(this.#pausedUntilMs, this.#parkedUntilMs ?? -Infinity);
      if (nowMs < untilMs) {
        this.#wakeIn(untilMs - nowMs);
        return;
      }
      const permit = this.#circuit.tryAcquire();
      if (!permit.granted) {
        // Half-open with a probe in flight: the end of the probe pumps again.
        if (permit.retryAfterMs !== undefined) this.#wakeIn(permit.retryAfterMs);
        return;
      }
      this.#ready.remove(slot);
      void this.#start(slot, permit);
    }
  }

  async #start(slot: QueuedDelivery, permit: CircuitPermit): Promise<void> {
    this.#inFlight += 1;
    const delivery = await slot.work();
    this.#inFlight -= 1;
    const { outcome } = delivery;
    if (outcome.kind === 'failed') permit.failure(outcome.failure);
    else if (outcome.kind === 'inconclusive') permit.release();
    else permit.success();
    this.#record(outcome);
    slot.resolve(delivery);
    // The caller moves the key before the next delivery starts.
    await slot.delivery;
    this.#pump();
  }

  #record(outcome: DeliveryOutcome): void {
    if (outcome.kind === 'denied') {
      this.#parkedUntilMs = this.#options.clock.now() + this.#options.deniedProbeMs;
      this.#limit = 1;
    } else if (outcome.kind === 'responded') {
      this.#parkedUntilMs = undefined;
      // One more for each success doubles the limit with every round: 1, 2, 4 ...
      const { maxConcurrent } = this.#options;
      const isDrained = this.#ready.size === 0 && this.#inFlight === 0;
      this.#limit = isDrained ? maxConcurrent : Math.min(maxConcurrent, this.#limit + 1);
    } else if (this.#circuit.state !== 'closed') {
      this.#limit = 1;
    }
    if (outcome.kind === 'failed') {
      const untilMs = this.#options.clock.now() + (retryAfterMsIn(outcome.failure) ?? 0);
      this.#pausedUntilMs = Math.max(this.#pausedUntilMs, untilMs);
    }
    const state = this.#currentState();
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onStateChange();
  }

  #currentState(): BackendHealth {
    if (this.#parkedUntilMs !== undefined) return 'denied';
    const isPaused = this.#options.clock.now() < this.#pausedUntilMs;
    if (isPaused || this.#circuit.state !== 'closed') return 'down';
    return this.#limit === this.#options.maxConcurrent ? 'up' : 'recovering';
  }

  #wakeIn(delayMs: number): void {
    this.#wakeUp?.cancel();
    this.#wakeUp = this.#options.clock.schedule(Math.max(1, delayMs), () => this.#pump(), {
      holdsProcess: false,
    });
  }
}

/** How long the backend asks its clients to wait. */
export function retryAfterMsIn(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('retryAfterMs' in error)) return undefined;
  const { retryAfterMs } = error;
  if (typeof retryAfterMs !== 'number' || !(retryAfterMs > 0)) return undefined;
  return Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
}
