import { type Backoff, type Random, exponentialBackoff } from '@holdfast/foundation';

/**
 * Whether a host may be connected to at this moment.
 *
 * ```
 *         succeeded
 *  open <─────────── probing ──┐ failed: the next knock waits longer
 *    └──failed, suspect──> ^ <─┘
 * ```
 *
 * Open, as many connections are made at once as are wanted. Probing, one attempt knocks at a time, spaced by
 * a growing delay, and everybody who waits is held.
 */
export type GateState =
  | { readonly at: 'open'; readonly sinceMs: number }
  | { readonly at: 'probing'; readonly notBeforeMs: number; readonly knocking: boolean };

/** How the jitter spreads the knocks of many processes. */
const JITTER_FACTOR = 0.2;

export class ConnectGate {
  /** Failed knocks since the last success. */
  attempts = 0;
  readonly #backoff: Backoff;
  readonly #random: Random;
  /** A host that lets one in and hangs up at once is knocked at no more often than one that is away. */
  readonly #steadyAfterMs: number;
  #delays: Iterator<number, never>;
  // The first link is made alone: whether the host is there at all has to be found out only once.
  #state: GateState = { at: 'probing', notBeforeMs: 0, knocking: false };

  constructor(bounds: { initialDelayMs: number; maxDelayMs: number }, random: Random) {
    this.#backoff = exponentialBackoff({ ...bounds, jitterFactor: JITTER_FACTOR });
    this.#random = random;
    this.#steadyAfterMs = bounds.maxDelayMs;
    this.#delays = this.#backoff.delays(random);
  }

  get state(): GateState {
    return this.#state;
  }

  /** How long until a knock is due: 0 for now, `undefined` while one is under way. */
  dueInMs(nowMs: number): number | undefined {
    if (this.#state.at === 'open') return 0;
    if (this.#state.knocking) return undefined;
    return Math.max(0, this.#state.notBeforeMs - nowMs);
  }

  /** An attempt begins; true when it is the one that the others wait for. */
  knock(): boolean {
    if (this.#state.at === 'open') return false;
    this.#state = { ...this.#state, knocking: true };
    return true;
  }

  succeeded(nowMs: number): void {
    this.attempts = 0;
    if (this.#state.at !== 'open') this.#state = { at: 'open', sinceMs: nowMs };
  }

  /** @param knocked what {@link knock} said of the attempt: those who came before it prove nothing new. */
  failed(nowMs: number, knocked: boolean): number {
    if (this.#state.at === 'probing' && !knocked)
      return Math.max(0, this.#state.notBeforeMs - nowMs);
    this.attempts += 1;
    const delayMs = this.#delays.next().value;
    this.#state = { at: 'probing', notBeforeMs: nowMs + delayMs, knocking: false };
    return delayMs;
  }

  /** A link was lost: the host is asked by one attempt before it is run at by all. */
  suspect(nowMs: number): void {
    if (this.#state.at === 'probing') return;
    const wasSteady = nowMs - this.#state.sinceMs >= this.#steadyAfterMs;
    if (wasSteady) this.#delays = this.#backoff.delays(this.#random);
    const delayMs = wasSteady ? 0 : this.#delays.next().value;
    this.#state = { at: 'probing', notBeforeMs: nowMs + delayMs, knocking: false };
  }
}
