import type { Clock, Random, Timer } from '@holdfast/foundation';
import { refusalBackoff } from '../recovery/refusal-backoff.ts';

interface LeaseHeartbeatDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly leaseMs: number;
  /** Renews the leases; resolves with whether the store has answered. */
  readonly renew: () => Promise<boolean>;
}

/** Renewals in one lease: with two of them lost, there is time for a third one. */
const BEATS_PER_LEASE = 4;

/** Renews leases at intervals, and soon again after a failure: a link may be back just before they expire. */
export class LeaseHeartbeat {
  readonly #deps: LeaseHeartbeatDeps;
  #delays: Iterator<number, never>;
  #timer: Timer;
  #isStopped = false;

  constructor(deps: LeaseHeartbeatDeps) {
    this.#deps = deps;
    this.#delays = refusalBackoff.delays(deps.random);
    this.#timer = this.#schedule(this.#everyMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer.cancel();
  }

  get #everyMs(): number {
    return this.#deps.leaseMs / BEATS_PER_LEASE;
  }

  #schedule(delayMs: number): Timer {
    return this.#deps.clock.schedule(delayMs, () => void this.#beat(), { holdsProcess: false });
  }

  async #beat(): Promise<void> {
    const isRenewed = await this.#deps.renew();
    if (this.#isStopped) return;
    if (isRenewed) this.#delays = refusalBackoff.delays(this.#deps.random);
    const delayMs = isRenewed ? this.#everyMs : Math.min(this.#everyMs, this.#delays.next().value);
    this.#timer = this.#schedule(delayMs);
  }
}
