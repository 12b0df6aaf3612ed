import { systemClock } from '@holdfast/foundation';

/** What became of the jobs of one scenario. */
export interface LedgerResult {
  readonly accepted: number;
  readonly delivered: number;
  /** Accepted, and never delivered. */
  readonly lost: readonly number[];
  /** Delivered more than once. */
  readonly duplicated: readonly number[];
  /** First delivered after a job of the same producer that was enqueued later. */
  readonly outOfOrder: readonly number[];
}

/** Counts, job by job, what was accepted and what was delivered. Jobs are numbered by their producer. */
export class Ledger {
  readonly #accepted = new Map<number, string>();
  readonly #deliveries: number[] = [];
  readonly #delivered = new Set<number>();
  /** Accepted and not delivered: kept, as looking for them among all would make a long load slow. */
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

  /** The jobs that were accepted, by whatever store. */
  acceptedJobs(): number[] {
    return [...this.#accepted.keys()];
  }

  /** The jobs that were accepted by that store. */
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

  /** Resolves once every accepted job was delivered, or when none has been for `quietMs`. */
  async settled(quietMs: number): Promise<void> {
    const sinceMs = systemClock.now();
    while (this.#awaited.size > 0) {
      const quietSinceMs = Math.max(sinceMs, this.#lastDeliveryMs);
      const restMs = quietSinceMs + quietMs - systemClock.now();
      if (restMs <= 0) return;
      await this.#untilSettled(restMs);
    }
  }

  /** Resolves with the delivery that was awaited last, or after `withinMs`. */
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
