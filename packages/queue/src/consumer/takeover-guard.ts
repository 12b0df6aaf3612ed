/**
 * Decides when a consumer may take over the jobs of others. During an outage nobody can renew a lease, so afterwards
 * every lease looks expired although no consumer is dead. Each gets one full lease to renew its own first. A time
 * without an answer, in which this process may have been stopped with the others, is an outage as well. Before its
 * first call, a consumer knows of no outage: the store has to know.
 */
export class TakeoverGuard {
  readonly #leaseMs: number;
  /** When the store answered first after the last failure; -Infinity when there was none. */
  #answeredSinceMs: number | undefined = -Infinity;
  #answeredMs: number | undefined;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** The store failed, or answered late: the others may not have reached it either. */
  failed(): void {
    this.#answeredSinceMs = undefined;
  }

  /** The store answered a call that started at `startedMs`; `waitMs` of it may have been spent waiting for jobs. */
  answered(startedMs: number, nowMs: number, waitMs: number = 0): void {
    if (this.#wasSilent(startedMs) || nowMs - startedMs > waitMs + this.#leaseMs / 3) this.failed();
    this.#answeredSinceMs ??= nowMs;
    this.#answeredMs = nowMs;
  }

  mayTakeOver(nowMs: number): boolean {
    if (this.#wasSilent(nowMs)) this.failed();
    return this.#answeredSinceMs !== undefined && nowMs - this.#answeredSinceMs >= this.#leaseMs;
  }

  #wasSilent(nowMs: number): boolean {
    return this.#answeredMs !== undefined && nowMs - this.#answeredMs > this.#leaseMs / 2;
  }
}
