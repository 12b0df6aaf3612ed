import { type Clock, type Random, type Timer, abortable } from '@holdfast/foundation';
import { RateWindow, readRateHeaders } from './rate-window.ts';

/** The right to send one request; to be settled once. */
export interface Permit {
  /** @param response what came, if anything did. */
  settle(response?: Pick<Response, 'headers' | 'status'>): void;
}

/** Nothing is left of the limit for longer than a request may wait. */
interface UsedUp {
  readonly forMs: number;
}

interface Waiting {
  readonly grant: (answer: Permit | UsedUp) => void;
  isGone: boolean;
}

/** Lets requests through, in order, as the limit of the API and `maxInFlight` permit. */
export class Pacer {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #maxInFlight: number;
  readonly #maxPauseMs: number;
  readonly #window: RateWindow;
  readonly #waiting: Waiting[] = [];
  #inFlight = 0;
  #pausedUntilMs = -Infinity;
  #timer: Timer | undefined;

  constructor({
    clock,
    random,
    maxInFlight,
    maxPauseMs,
  }: {
    clock: Clock;
    random: Random;
    maxInFlight: number;
    maxPauseMs: number;
  }) {
    this.#clock = clock;
    this.#random = random;
    this.#maxInFlight = maxInFlight;
    this.#maxPauseMs = maxPauseMs;
    this.#window = new RateWindow(clock);
  }

  /** Rejects with the signal's own reason. */
  async acquire(signal: AbortSignal): Promise<Permit | UsedUp> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<Permit | UsedUp>();
    const waiting: Waiting = { grant: resolve, isGone: false };
    this.#waiting.push(waiting);
    this.#pump();
    try {
      return await abortable(promise, signal);
    } catch (error) {
      waiting.isGone = true;
      // It may have been granted just before.
      void promise.then((answer) => 'settle' in answer && answer.settle());
      this.#pump();
      throw error;
    }
  }

  /** The API answered 429: nobody sends for the pause and up to a tenth more. Returns the whole pause. */
  pause(requestedMs: number): number {
    const pauseMs = requestedMs + this.#random() * (requestedMs / 10 + 50);
    this.#window.refuse();
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#clock.now() + pauseMs);
    this.#pump();
    return pauseMs;
  }

  #pump(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (true) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      if (!next.isGone) {
        const nowMs = this.#clock.now();
        if (nowMs < this.#pausedUntilMs) return this.#wakeAt(this.#pausedUntilMs);
        const forMs = this.#window.usedUpForMs;
        if (forMs <= this.#maxPauseMs) {
          if (this.#inFlight >= this.#maxInFlight) return;
          if (!this.#window.canSend(this.#inFlight)) return this.#wakeAt(this.#window.endsAtMs);
        }
        next.grant(forMs <= this.#maxPauseMs ? this.#permit() : { forMs });
      }
      this.#waiting.shift();
    }
  }

  #wakeAt(atMs: number): void {
    if (atMs === Infinity) return;
    const delayMs = Math.max(1, Math.ceil(atMs - this.#clock.now()));
    this.#timer = this.#clock.schedule(delayMs, () => this.#pump());
  }

  #permit(): Permit {
    const sentMs = this.#clock.now();
    this.#inFlight += 1;
    this.#window.spend();
    let isSettled = false;
    return {
      settle: (response) => {
        if (isSettled) return;
        isSettled = true;
        this.#inFlight -= 1;
        const rate = response === undefined ? undefined : readRateHeaders(response.headers);
        if (rate !== undefined) this.#window.update(rate, sentMs);
        else if (response?.status === 200) this.#window.setUnlimited();
        this.#pump();
      },
    };
  }
}
