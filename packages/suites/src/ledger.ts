import { systemClock } from '@holdfast/foundation';

/** The results of the jobs of one scenario. */
export interface LedgerResult {
  readonly accepted: number;
  readonly delivered: number;
  /** Accepted jobs that were never delivered. */
  readonly lost: readonly number[];
  /** Jobs delivered more than once. */
  readonly duplicated: readonly number[];
  /** Jobs first delivered after a later job of the same producer. */
  readonly outOfOrder: readonly number[];
}

/** Records which jobs were accepted and which were delivered. Jobs are numbered by their producer. */
export class Ledger {
  readonly #accepted = new Map<number, string>();
  readonly #deliveries: number[] = [];
  readonly #delivered = new Set<number>();
  /** Accepted jobs without a delivery, as an index: a search among all jobs would make a long load slow. */
  readonly #awaited = new Set<number>();
  #lastDeliveryMs = -Infinity;
  readonly #onDelivery = new Set<(job: number) => void>();

  accepted(job: number, by: string): void {
    this.#accepted.set(job, by);
    if (!this.#delivered.has(job)) this.#awaited.add(job);
  }

  delivered(job: number): void {
    this.#deliveries.push(job);
    this.#delivered.add(job);
    this.#awaited.delete(job);
    this.#lastDeliveryMs = systemClock.now();
    for (const listener of this.#onDelivery) listener(job);
  }

  /** The jobs that any store accepted. */
  acceptedJobs(): number[] {
    return [...this.#accepted.keys()];
  }

  /** The jobs that this store accepted. */
  acceptedBy(store: string): number[] {
    return [...this.#accepted].filter(([, by]) => by === store).map(([job]) => job);
  }

  /** Resolves with the clock's `now()` of the next delivery of a job numbered `from` or higher. */
  nextDelivery(from = -Infinity): Promise<number> {
    return new Promise((resolve) => {
      const listener = (job: number): void => {
        if (job < from) return;
        this.#onDelivery.delete(listener);
        resolve(systemClock.now());
      };
      this.#onDelivery.add(listener);
    });
  }

  /** Resolves once every accepted job was delivered, or after `quietMs` without a delivery. */
  async settled(quietMs: number): Promise<void> {
    const sinceMs = systemClock.now();
    while (this.#awaited.size > 0) {
      const quietSinceMs = Math.max(sinceMs, this.#lastDeliveryMs);
      const restMs = quietSinceMs + quietMs - systemClock.now();
      if (restMs <= 0) return;
      await this.#untilSettled(restMs);
    }
  }

  /** Resolves at the next delivery, or after `withinMs`. */
  #untilSettled(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = (): void => {
        timer.cancel();
        this.#onDelivery.delete(listener);
        resolve();
      };
      const listener = (): void => {
        if (this.#awaited.size === 0) stop();
      };
      const timer = systemClock.schedule(withinMs, stop);
      this.#onDelivery.add(listener);
    });
  }

  verdict(): LedgerResult {
    const seen = new Set<number>();
    const duplicated: number[] = [];
    const outOfOrder: number[] = [];
    let highest = -Infinity;
    for (const job of this.#deliveries) {
      if (seen.has(job)) duplicated.push(job);
      else if (job < highest) outOfOrder.push(job);
      seen.add(job);
      highest = Math.max(highest, job);
    }
    const lost = [...this.#accepted.keys()].filter((job) => !seen.has(job));
    return {
      accepted: this.#accepted.size,
      delivered: seen.size,
      lost,
      duplicated,
      outOfOrder,
    };
  }
}
