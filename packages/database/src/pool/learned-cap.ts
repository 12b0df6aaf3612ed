const FIRST_RAISE_MS = 500;
const LONGEST_RAISE_MS = 30_000;

/**
 * How many connections the server accepts, learned from its refusals (53300): lowered to the number that is
 * established, and raised again one by one, at once after a success, more and more rarely after refusals.
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

  /** @param others connections that are established or being opened, without the refused one. */
  refused(others: number, nowMs: number): void {
    const isNew = this.#raised || nowMs >= this.#raiseAtMs;
    this.#cap = Math.max(1, Math.min(this.#cap, others));
    this.#raised = false;
    if (!isNew) return;
    this.#raiseAtMs = nowMs + this.#raiseAfterMs;
    this.#raiseAfterMs = Math.min(LONGEST_RAISE_MS, this.#raiseAfterMs * 2);
  }

  succeeded(total: number): void {
    if (total < this.#cap) return;
    this.#raiseAfterMs = FIRST_RAISE_MS;
    this.#raiseAtMs = 0;
  }

  /** More connections are needed than the cap permits. @returns whether one more may be tried now. */
  raise(nowMs: number): boolean {
    if (this.#cap >= this.#max || nowMs < this.#raiseAtMs) return false;
    this.#cap += 1;
    this.#raised = true;
    this.#raiseAtMs = nowMs + this.#raiseAfterMs;
    return true;
  }
}
