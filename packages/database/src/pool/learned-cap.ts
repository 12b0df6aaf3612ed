const FIRST_RAISE_MS = 500;
const LONGEST_RAISE_MS = 30_000;

/**
 * How many links the server lets in, as its refusals (53300) have shown: lowered to what stands, and grown
 * again one by one, at once after each success, ever more rarely after each refusal.
 */
export class LearnedCap {
  readonly #max: number;
  #cap: number;
  #raised = false;
  #raiseAtMs = 0;
  #raiseAfterMs: number = FIRST_RAISE_MS;

  constructor(max: number) {
    this.#max = max;
    this.#cap = max;
  }

  get value(): number {
    return this.#cap;
  }

  /** @param others links that stand or are being made, without the refused one. */
  refused(others: number, nowMs: number): void {
    const isNews = this.#raised || nowMs >= this.#raiseAtMs;
    this.#cap = Math.max(1, Math.min(this.#cap, others));
    this.#raised = false;
    if (!isNews) return;
    this.#raiseAtMs = nowMs + this.#raiseAfterMs;
    this.#raiseAfterMs = Math.min(LONGEST_RAISE_MS, this.#raiseAfterMs * 2);
  }

  succeeded(total: number): void {
    if (total < this.#cap || this.#cap === this.#max) return;
    this.#raiseAfterMs = FIRST_RAISE_MS;
    this.#raiseAtMs = 0;
  }

  /** More is wanted than the cap lets in: whether it is time to try one more. */
  raise(nowMs: number): boolean {
    if (this.#cap >= this.#max || nowMs < this.#raiseAtMs) return false;
    this.#cap += 1;
    this.#raised = true;
    this.#raiseAtMs = nowMs + this.#raiseAfterMs;
    return true;
  }
}
