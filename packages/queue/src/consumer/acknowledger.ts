import { type Clock, type Random, sleep } from '@holdfast/foundation';
import type { Delivery, Subscription } from '../backend.ts';
import { refusalBackoff } from '../recovery/refusal-backoff.ts';
import { RecentIds } from './recent-ids.ts';

interface AcknowledgerDeps {
  readonly subscription: Subscription;
  readonly clock: Clock;
  readonly random: Random;
  /** The number of handled jobs that are remembered after the store has confirmed them. */
  readonly maxRememberedJobs: number;
}

/**
 * Acknowledges handled jobs and dead-letters failed ones, in batches, and retries until the store confirms it.
 * Remembers confirmed jobs for a while, so that this process does not run a job again when its acknowledgement was
 * lost in transit or by the store.
 */
export class Acknowledger {
  readonly #deps: AcknowledgerDeps;
  readonly #handled = new Map<string, Delivery>();
  readonly #unconfirmedIds = new Set<string>();
  readonly #confirmed: RecentIds;
  readonly #failed = new Map<string, { delivery: Delivery; reason: string }>();
  readonly #giveUp = new AbortController();
  #flushing: Promise<void> | undefined;

  constructor(deps: AcknowledgerDeps) {
    this.#deps = deps;
    this.#confirmed = new RecentIds(deps.maxRememberedJobs);
  }

  /** The number of jobs the store has not confirmed yet. */
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

  /** Whether the store has confirmed this job as handled before, possibly under another handle. */
  wasConfirmed({ id }: Delivery): boolean {
    return this.#confirmed.has(id);
  }

  acknowledge(delivery: Delivery): void {
    this.#handled.set(delivery.handle, delivery);
    this.#unconfirmedIds.add(delivery.id);
    this.#flush();
  }

  deadLetter(delivery: Delivery, reason: string): void {
    this.#failed.set(delivery.handle, { delivery, reason });
    this.#unconfirmedIds.add(delivery.id);
    this.#flush();
  }

  /** Drops a job whose lease went to another consumer. */
  drop(handle: string): void {
    const delivery = this.#handled.get(handle) ?? this.#failed.get(handle)?.delivery;
    if (delivery !== undefined) this.#remove(delivery);
  }

  /** Resolves once the store has confirmed everything, or the signal is aborted. */
  async finish(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#giveUp.abort(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    await this.#flushing;
    signal.removeEventListener('abort', onAbort);
  }

  #flush(): void {
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = undefined;
      if (this.size > 0 && !this.#giveUp.signal.aborted) this.#flush();
    });
  }

  async #flushAll(): Promise<void> {
    const { subscription, clock, random } = this.#deps;
    const { signal } = this.#giveUp;
    const delays = refusalBackoff.delays(random);
    // One microtask later, so that jobs handled in the same turn share a batch.
    await Promise.resolve();
    while (this.size > 0 && !signal.aborted) {
      try {
        await subscription.whenConnected(signal);
        await this.#flushOnce();
      } catch {
        await sleep(clock, delays.next().value, signal).catch(() => undefined);
      }
    }
  }

  async #flushOnce(): Promise<void> {
    const { subscription } = this.#deps;
    if (this.#handled.size > 0) {
      const batch = [...this.#handled.values()];
      await subscription.acknowledge(batch.map(({ handle }) => handle));
      for (const delivery of batch) {
        this.#remove(delivery);
        this.#confirmed.add(delivery.id);
      }
    }
    for (const { delivery, reason } of this.#failed.values()) {
      await subscription.deadLetter(delivery, reason);
      this.#remove(delivery);
    }
  }

  #remove({ handle, id }: Delivery): void {
    this.#handled.delete(handle);
    this.#failed.delete(handle);
    this.#unconfirmedIds.delete(id);
  }
}
