import { type PaidUpTo, take } from './gcra.ts';
import type { CountedReply, Rate, RateRequest } from './rate-limiter.ts';

/** How many of the oldest keys are looked at for one that can be forgotten. */
const LOOKS = 16;
const CROWDED_MS = 1_000;

/** The share of one of `instances`: a slower rate, and whole requests of the tolerance. */
export function shareOf({ intervalMs, toleranceMs }: Rate, instances: number): Rate {
  const own = intervalMs * instances;
  const ahead = Math.max(1, Math.floor(toleranceMs / intervalMs / instances));
  return { intervalMs: own, toleranceMs: own * ahead };
}

/** What this instance admits by itself. It begins with nothing to spend, because the store may have spent all. */
export class LocalShare {
  readonly #keys = new Map<string, PaidUpTo>();
  readonly #maxKeys: number;
  #sinceMs: number;

  constructor(maxKeys: number, nowMs: number) {
    this.#maxKeys = maxKeys;
    this.#sinceMs = nowMs;
  }

  /** The store counted until now. */
  begin(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#keys.clear();
  }

  take(request: RateRequest, nowMs: number): CountedReply {
    const { key } = request;
    const known = this.#keys.get(key);
    if (known === undefined && !this.#hasRoom(nowMs)) {
      return { kind: 'limited', retryAfterMs: CROWDED_MS };
    }
    const { state, reply } = take(known, request, this.#sinceMs, nowMs);
    if (state !== undefined && reply.kind === 'allowed') {
      this.#keys.delete(key);
      this.#keys.set(key, state);
    }
    return reply;
  }

  /** A key that owes nothing is as one that was never seen; one that does is never forgotten. */
  #hasRoom(nowMs: number): boolean {
    if (this.#keys.size < this.#maxKeys) return true;
    let looks = 0;
    for (const [key, { sustainedMs, peakMs }] of this.#keys) {
      if (sustainedMs <= nowMs && peakMs <= nowMs) {
        this.#keys.delete(key);
        return true;
      }
      looks += 1;
      if (looks >= LOOKS) return false;
    }
    return false;
  }
}
