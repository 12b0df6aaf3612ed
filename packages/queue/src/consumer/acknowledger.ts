import { type Clock, type Random, sleep } from '@holdfast/foundation';
import type { Delivery, Subscription } from '../backend.ts';
import { RecentIds } from './recent-ids.ts';
import { refusalBackoff } from '../refusal-backoff.ts';

export interface AcknowledgerDeps {
  readonly subscription: Subscription;
  readonly clock: Clock;
  readonly random: Random;
  /** How many handled jobs are remembered after the store has confirmed them. */
  readonly maxRememberedJobs: number;
}

/**
 * Tells the store what became of jobs, in batches, and again until it has confirmed it. Confirmed ones are
 * remembered for a while: a job is not run again by this process because an acknowledgement was lost, be it
 * on its way or by a store that forgot it.
 */
export class Acknowledger {
  readonly #parts: AcknowledgerDeps;
  readonly #handled = new Map<string, Delivery>();
  readonly #unconfirmedIds = new Set<string>();
  readonly #confirmed: RecentIds;
  readonly #failed = new Map<string, { delivery: Delivery; reason: string }>();
  readonly #giveUp = new AbortController();
  #telling: Promise<void> | undefined;

  constructor(parts: AcknowledgerDeps) {
    this.#parts = parts;
    this.#confirmed = new RecentIds(parts.maxRememberedJobs);
  }

  /** How many the store has not confirmed yet. */
  get size(): number {
    return this.#handled.size + this.#failed.size;
  }

  has(id: string): boolean {
    return this.#unconfirmedIds.has(id);
  }

  *handles(): Generator<string> {
    yield* this.#handled.keys();
    yield* this.#failed.keys();
  }

  /** Whether the store had confirmed this job as handled before, be it under another handle. */
  wasConfirmed({ id }: Delivery): boolean {
    return this.#confirmed.has(id);
  }

  acknowledge(delivery: Delivery): void {
    this.#handled.set(delivery.handle, delivery);
    this.#unconfirmedIds.add(delivery.id);
    this.#tell();
  }

  bury(delivery: Delivery, reason: string): void {
    this.#failed.set(delivery.handle, { delivery, reason });
    this.#unconfirmedIds.add(delivery.id);
    this.#tell();
  }

  /** The job is another consumer's now; what became of it here is of no interest to the store. */
  forget(handle: string): void {
    const delivery = this.#handled.get(handle) ?? this.#failed.get(handle)?.delivery;
    if (delivery !== undefined) this.#drop(delivery);
  }

  /** Resolves once everything is confirmed or the signal says to leave it. */
  async finish(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#giveUp.abort(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    await this.#telling;
    signal.removeEventListener('abort', onAbort);
  }

  #tell(): void {
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = undefined;
      if (this.size > 0 && !this.#giveUp.signal.aborted) this.#tell();
    });
  }

  async #tellAll(): Promise<void> {
    const { subscription, clock, random } = this.#parts;
    const { signal } = this.#giveUp;
    const delays = refusalBackoff.delays(random);
    // A turn later, so that what is handled together is told together.
    await Promise.resolve();
    while (this.size > 0 && !signal.aborted) {
      try {
        await subscription.whenConnected(signal);
        await this.#tellOnce();
      } catch {
        await sleep(clock, delays.next().value, signal).catch(() => undefined);
      }
    }
  }

  async #tellOnce(): Promise<void> {
    const { subscription } = this.#parts;
    if (this.#handled.size > 0) {
      const batch = [...this.#handled.values()];
      await subscription.acknowledge(batch.map(({ handle }) => handle));
      for (const delivery of batch) {
        this.#drop(delivery);
        this.#confirmed.add(delivery.id);
      }
    }
    for (const { delivery, reason } of this.#failed.values()) {
      await subscription.deadLetter(delivery, reason);
      this.#drop(delivery);
    }
  }

  #drop({ handle, id }: Delivery): void {
    this.#handled.delete(handle);
    this.#failed.delete(handle);
    this.#unconfirmedIds.delete(id);
  }
}
