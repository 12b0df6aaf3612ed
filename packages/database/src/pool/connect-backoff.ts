import { type Backoff, type Random, exponentialBackoff } from '@holdfast/foundation';

/**
 * Whether connecting to a host is permitted.
 *
 * ```
 *         succeeded
 *  open <─────────── probing ──┐ failed: the next attempt waits longer
 *    └──failed, suspect──> ^ <─┘
 * ```
 *
 * Open: any number of attempts at once. Probing: one attempt at a time, spaced by a growing delay, while all
 * callers wait.
 */
type BackoffState =
  | { readonly kind: 'open'; readonly sinceMs: number }
  | { readonly kind: 'probing'; readonly notBeforeMs: number; readonly attempting: boolean };

/** Spreads the attempts of many processes. */
const JITTER_FACTOR = 0.2;

export class ConnectBackoff {
  /** Failed attempts since the last success. */
  attempts = 0;
  readonly #backoff: Backoff;
  readonly #random: Random;
  /** A host that accepts a connection and closes it at once is tried no more often than one that is down. */
  readonly #steadyAfterMs: number;
  #delays: Iterator<number, never>;
  // The first connection is opened alone, because one attempt suffices to find out whether the host is up.
  #state: BackoffState = { kind: 'probing', notBeforeMs: 0, attempting: false };

  constructor(bounds: { initialDelayMs: number; maxDelayMs: number }, random: Random) {
    this.#backoff = exponentialBackoff({ ...bounds, jitterFactor: JITTER_FACTOR });
    this.#random = random;
    this.#steadyAfterMs = bounds.maxDelayMs;
    this.#delays = this.#backoff.delays(random);
  }

  get state(): BackoffState {
    return this.#state;
  }

  /** The time until the next attempt: 0 for now, `undefined` while the one attempt is under way. */
  dueInMs(nowMs: number): number | undefined {
    if (this.#state.kind === 'open') return 0;
    if (this.#state.attempting) return undefined;
    return Math.max(0, this.#state.notBeforeMs - nowMs);
  }

  /** @returns whether this attempt is the one that probes the host. */
  beginAttempt(): boolean {
    if (this.#state.kind === 'open') return false;
    this.#state = { ...this.#state, attempting: true };
    return true;
  }

  succeeded(nowMs: number): void {
    this.attempts = 0;
    if (this.#state.kind !== 'open') this.#state = { kind: 'open', sinceMs: nowMs };
  }

  /** @param isProbe what {@link beginAttempt} returned: attempts begun earlier prove nothing new. */
  failed(nowMs: number, isProbe: boolean): number {
    if (this.#state.kind === 'probing' && !isProbe) {
      return Math.max(0, this.#state.notBeforeMs - nowMs);
    }
    this.attempts += 1;
    return this.#probeAfter(this.#delays.next().value, nowMs);
  }

  /** A connection was lost: one attempt has to succeed before many are permitted. */
  suspect(nowMs: number): void {
    if (this.#state.kind === 'probing') return;
    const wasSteady = nowMs - this.#state.sinceMs >= this.#steadyAfterMs;
    if (wasSteady) this.#delays = this.#backoff.delays(this.#random);
    this.#probeAfter(wasSteady ? 0 : this.#delays.next().value, nowMs);
  }

  #probeAfter(delayMs: number, nowMs: number): number {
    this.#state = { kind: 'probing', notBeforeMs: nowMs + delayMs, attempting: false };
    return delayMs;
  }
}
