/** The results in a window. Only completed calls count. */
interface WindowTotals {
  readonly calls: number;
  readonly failures: number;
  readonly slowCalls: number;
}

/** Recent results of calls. Recording is O(1) and the memory does not grow with the traffic. */
export interface ResultWindow {
  record(nowMs: number, failed: boolean, slow: boolean): void;
  totals(nowMs: number): WindowTotals;
}

const FAILED = 1;
const SLOW = 2;

/** The last `size` calls, whatever their age. */
export class CountWindow implements ResultWindow {
  readonly #ring: Uint8Array;
  #next = 0;
  #calls = 0;
  #failures = 0;
  #slowCalls = 0;

  constructor(size: number) {
    this.#ring = new Uint8Array(size);
  }

  record(_nowMs: number, failed: boolean, slow: boolean): void {
    const size = this.#ring.length;
    if (this.#calls === size) this.#dropOldest();
    this.#ring[this.#next] = (failed ? FAILED : 0) | (slow ? SLOW : 0);
    this.#calls += 1;
    if (failed) this.#failures += 1;
    if (slow) this.#slowCalls += 1;
    this.#next = this.#next + 1 === size ? 0 : this.#next + 1;
  }

  totals(): WindowTotals {
    return { calls: this.#calls, failures: this.#failures, slowCalls: this.#slowCalls };
  }

  #dropOldest(): void {
    const oldest = this.#ring[this.#next] ?? 0;
    this.#calls -= 1;
    if ((oldest & FAILED) !== 0) this.#failures -= 1;
    if ((oldest & SLOW) !== 0) this.#slowCalls -= 1;
  }
}

const BUCKETS = 10;

/**
 * The calls that completed within the last `windowMs`, in ten buckets. Older buckets are dropped by the clock
 * alone, with or without calls.
 */
export class TimeWindow implements ResultWindow {
  readonly #bucketMs: number;
  /** Calls, failures and slow calls of bucket 0, then of bucket 1, and so on. */
  readonly #counts: number[] = Array.from({ length: 3 * BUCKETS }, () => 0);
  #newest = 0;
  #calls = 0;
  #failures = 0;
  #slowCalls = 0;

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  record(nowMs: number, failed: boolean, slow: boolean): void {
    this.#dropUntil(nowMs);
    const first = 3 * (this.#newest % BUCKETS);
    this.#add(first, 1, failed ? 1 : 0, slow ? 1 : 0);
  }

  totals(nowMs: number): WindowTotals {
    this.#dropUntil(nowMs);
    return { calls: this.#calls, failures: this.#failures, slowCalls: this.#slowCalls };
  }

  #dropUntil(nowMs: number): void {
    const tick = Math.floor(nowMs / this.#bucketMs);
    const stale = Math.min(BUCKETS, tick - this.#newest);
    for (let step = 1; step <= stale; step += 1) {
      const first = 3 * ((this.#newest + step) % BUCKETS);
      this.#add(first, -this.#at(first), -this.#at(first + 1), -this.#at(first + 2));
    }
    this.#newest = Math.max(this.#newest, tick);
  }

  #add(first: number, calls: number, failures: number, slowCalls: number): void {
    this.#counts[first] = this.#at(first) + calls;
    this.#counts[first + 1] = this.#at(first + 1) + failures;
    this.#counts[first + 2] = this.#at(first + 2) + slowCalls;
    this.#calls += calls;
    this.#failures += failures;
    this.#slowCalls += slowCalls;
  }

  #at(index: number): number {
    return this.#counts[index] ?? 0;
  }
}
