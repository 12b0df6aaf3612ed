import type { Clock } from '@holdfast/foundation';

/** What a response says of the limit. */
interface RateHeaders {
  readonly limit: number;
  readonly remaining: number;
  /** In milliseconds since the epoch of the server. */
  readonly resetMs: number;
  readonly cost: number;
  /** The server's clock, if it says. */
  readonly dateMs: number | undefined;
}

/** Reads `X-Ratelimit-*`; `undefined` unless all but the cost are there, and make sense. */
export function readRateHeaders(headers: Headers): RateHeaders | undefined {
  const limit = countOf(headers, 'x-ratelimit-limit');
  const remaining = countOf(headers, 'x-ratelimit-remaining');
  const resetMs = Date.parse(headers.get('x-ratelimit-reset') ?? '');
  if (limit === undefined || remaining === undefined || Number.isNaN(resetMs)) return undefined;
  const cost = countOf(headers, 'x-ratelimit-cost') ?? 1;
  const dateMs = Date.parse(headers.get('date') ?? '');
  return { limit, remaining, resetMs, cost, dateMs: Number.isNaN(dateMs) ? undefined : dateMs };
}

function countOf(headers: Headers, name: string): number | undefined {
  const text = headers.get(name);
  return text !== null && /^\d{1,9}$/.test(text.trim()) ? Number(text) : undefined;
}

/** Windows longer than this are waited for in steps of it. */
const LONGEST_WINDOW_MS = 60_000;
/** For times that are cut to milliseconds, on both sides. */
const MARGIN_MS = 2;
/** By how much windows may be longer or shorter than others, as clocks are adjusted. */
const TOLERANCE_MS = 5;

/**
 * What may still be requested in the current window of the server.
 *
 * The server counts in windows that end at fixed times of its own clock, which may be wrong. A response says when its
 * window ends, and was received after the window began: so each gives an upper limit for that end in our own time, and
 * the tightest one is kept. We are never early, and late by the fastest response at most.
 */
export class RateWindow {
  readonly #clock: Clock;
  #limit = 10;
  #cost = 1;
  #windowMs = 1_000;
  /** A length that was seen once. */
  #shorterMs = 0;
  /** The share of the limit that is used; halved by a 429. */
  #share = 1;
  #remaining = 10;
  #spent = 0;
  #endsAtMs = Infinity;
  /** By which the server names the window: when it ends in its own time. */
  #resetMs: number | undefined;
  /** At least what has to be added to our monotonic time for the server's time. */
  #leadMs: number | undefined;
  #isUnlimited = false;
  #rolledAtMs = -Infinity;
  /** No response has told of the window that began at `rolledAtMs`. */
  #isFresh = false;
  /** In monotonic time, as the server tells it; only where it tells its own time too. */
  #isUsedUpUntilMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** When the next window begins, in monotonic time; `Infinity` before the first response. */
  get endsAtMs(): number {
    return this.#endsAtMs;
  }

  /** For how long nothing is left of the limit, as the last response told; 0 where it does not tell. */
  get usedUpForMs(): number {
    return Math.max(0, this.#isUsedUpUntilMs - this.#clock.now());
  }

  /** Whether one more request may be sent, with `inFlight` of which it is not known whether they are counted. */
  canSend(inFlight: number): boolean {
    if (this.#isUnlimited) return true;
    this.#roll();
    // Before the limit is known, one request asks for it.
    if (this.#resetMs === undefined && inFlight > 0) return false;
    const atRisk = inFlight * this.#cost;
    const permitted = Math.max(this.#cost, Math.floor(this.#limit * this.#share));
    const isWithinShare = this.#spent + this.#cost <= permitted;
    return isWithinShare && this.#remaining - atRisk >= this.#cost;
  }

  /** A request is sent. */
  spend(): void {
    if (this.#spent === 0 && this.#endsAtMs === Infinity) {
      this.#endsAtMs = this.#clock.now() + this.#windowMs;
    }
    this.#spent += this.#cost;
  }

  /** A 429: others use the limit too, or it is not as believed. */
  refuse(): void {
    this.#isUnlimited = false;
    this.#share = Math.max(this.#share / 2, this.#cost / Math.max(1, this.#limit));
    this.#remaining = 0;
    if (this.#endsAtMs === Infinity) this.#endsAtMs = this.#clock.now() + this.#windowMs;
  }

  /** A response that says nothing of a limit: there is none. */
  setUnlimited(): void {
    if (this.#resetMs === undefined) this.#isUnlimited = true;
  }

  /** @param sentMs when the request was sent, in monotonic time. */
  update({ limit, remaining, resetMs, cost, dateMs }: RateHeaders, sentMs: number): void {
    const nowMs = this.#clock.now();
    this.#isUnlimited = false;
    this.#limit = Math.max(1, limit);
    this.#cost = Math.min(Math.max(0, cost), this.#limit);
    const isSame = resetMs === this.#resetMs;
    if (!isSame) this.#isUsedUpUntilMs = -Infinity;
    if (remaining < this.#cost && dateMs !== undefined) {
      this.#isUsedUpUntilMs = nowMs + resetMs - dateMs;
    }
    this.#learnLength(resetMs, sentMs, dateMs);
    this.#learnLead(resetMs, sentMs, nowMs);
    // The response is late: its window has ended.
    if (isSame && sentMs < this.#rolledAtMs) return;
    const endsAtMs = resetMs - (this.#leadMs ?? 0) + MARGIN_MS;
    if (!isSame && this.#resetMs !== undefined && endsAtMs <= nowMs) return;
    this.#resetMs = resetMs;
    this.#isFresh = false;
    this.#remaining = Math.min(this.#remaining, remaining);
    this.#endsAtMs = Math.max(nowMs, endsAtMs);
  }

  #learnLength(resetMs: number, sentMs: number, dateMs: number | undefined): void {
    const formerMs = this.#windowMs;
    const gapMs = resetMs - (this.#resetMs ?? -Infinity);
    if (dateMs !== undefined && resetMs - dateMs > formerMs + 1_000) {
      // The date is cut to seconds.
      this.#windowMs = resetMs - dateMs;
    } else if (gapMs === 0 && sentMs >= this.#rolledAtMs && this.#isFresh) {
      // It goes on, although it was believed to have ended.
      this.#windowMs = formerMs * 2;
    } else if (gapMs > TOLERANCE_MS && gapMs < formerMs - TOLERANCE_MS) {
      // Once it may be a step of the server's clock.
      if (Math.abs(gapMs - this.#shorterMs) <= TOLERANCE_MS) this.#windowMs = gapMs;
      this.#shorterMs = gapMs;
    }
    this.#windowMs = Math.min(this.#windowMs, LONGEST_WINDOW_MS);
    if (this.#windowMs !== formerMs) this.#leadMs = undefined;
  }

  #learnLead(resetMs: number, sentMs: number, nowMs: number): void {
    const atLeastMs = resetMs - this.#windowMs - nowMs;
    const leadMs = Math.max(this.#leadMs ?? -Infinity, atLeastMs);
    const gapMs = resetMs - (this.#resetMs ?? resetMs);
    const strayMs = gapMs - Math.round(gapMs / this.#windowMs) * this.#windowMs;
    // Windows follow each other, and this one had not ended when the request was sent; else the server's clock was set.
    const isSet = Math.abs(strayMs) > TOLERANCE_MS || resetMs - leadMs + MARGIN_MS < sentMs;
    this.#leadMs = isSet ? atLeastMs : leadMs;
  }

  #roll(): void {
    if (this.#clock.now() < this.#endsAtMs) return;
    // A window without a refusal: somewhat more again.
    if (this.#remaining > 0 || this.#spent > 0) {
      this.#share = Math.min(1, this.#share + this.#cost / this.#limit);
    }
    this.#remaining = this.#limit;
    this.#spent = 0;
    this.#endsAtMs = Infinity;
    this.#rolledAtMs = this.#clock.now();
    this.#isFresh = true;
  }
}
