/** Limits how many stages are leased at one time. */
export class LeaseSlots {
  readonly #max: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Resolves when a slot is free, in the order of calls. Rejects with the signal's own reason. */
  async acquire(signal: AbortSignal | undefined): Promise<void> {
    if (this.#taken < this.#max) {
      this.#taken += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const settle = (conclude: () => void): void => {
        signal?.removeEventListener('abort', onAbort);
        conclude();
      };
      const wake = (): void => settle(resolve);
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1);
        settle(() => reject(signal?.reason));
      };
      this.#waiting.push(wake);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Passes the slot to the next waiter, if any. */
  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken -= 1;
    else next();
  }

  /** Lets all waiters continue, because the pool is closed. */
  releaseWaiters(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
