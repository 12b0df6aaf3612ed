import { type Clock, type Random, sleep } from '@holdfast/foundation';
import type { Delivery, Subscription } from '../backend.ts';
import { BackendError } from '../errors.ts';
import { refusalBackoff } from '../recovery/refusal-backoff.ts';
import type { JobMemory } from './job-memory.ts';
import type { OutcomeKeeper } from '../outcomes/outcome-keeper.ts';
import type { StallReporter } from './stall-reporter.ts';

interface AcknowledgerDeps {
  readonly subscription: Subscription;
  readonly clock: Clock;
  readonly random: Random;
  readonly memory: JobMemory;
  readonly stalls: StallReporter;
  /** Absent: nothing is kept of how jobs end. */
  readonly outcomes?: OutcomeKeeper | undefined;
  /** Called for a job that the store does not put aside: it waits here for its next attempt. */
  readonly onKept: (delivery: Delivery, delayMs: number) => void;
}

/** A failed job, and how to report it to the store. */
interface FailedJob {
  readonly delivery: Delivery;
  /** Resolves once the store has confirmed it. */
  report(): Promise<void>;
}

/** The most failed jobs that are reported at once. */
const MAX_AT_ONCE = 100;

/**
 * Reports to the store what became of the jobs: acknowledges handled ones, dead-letters failed ones or puts them aside
 * until their next attempt; in batches, and again until the store confirms it.
 */
export class Acknowledger {
  readonly #deps: AcknowledgerDeps;
  readonly #handled = new Map<string, Delivery>();
  readonly #failed = new Map<string, FailedJob>();
  readonly #giveUp = new AbortController();
  #flushing: Promise<void> | undefined;
  /** A job was added that no flush has tried yet. */
  #hasNew = false;

  constructor(deps: AcknowledgerDeps) {
    this.#deps = deps;
  }

  /** The number of jobs the store has not confirmed yet. */
  get size(): number {
    return this.#handled.size + this.#failed.size;
  }

  *handles(): Generator<string> {
    yield* this.#handled.keys();
    yield* this.#failed.keys();
  }

  acknowledge(delivery: Delivery): void {
    const { memory } = this.#deps;
    memory.handled(delivery);
    this.#handled.set(delivery.handle, delivery);
    this.#flush();
  }

  deadLetter(delivery: Delivery, reason: string, stack: string | undefined): void {
    const { subscription, outcomes } = this.#deps;
    const kept = outcomes?.failed(delivery, reason);
    this.#add(delivery, () => subscription.deadLetter(delivery, reason, stack, kept));
  }

  /** @param delivery counts the attempts made. */
  retryLater(delivery: Delivery, delayMs: number): void {
    const { subscription, clock, onKept } = this.#deps;
    const dueMs = clock.now() + delayMs;
    this.#add(delivery, async () => {
      let outcome: 'delayed' | 'kept' = 'kept';
      try {
        const leftMs = Math.max(0, dueMs - clock.now());
        outcome = (await subscription.retryLater?.(delivery, leftMs)) ?? 'kept';
      } catch (error) {
        // Whether an unanswered request was applied is asked by repeating it.
        if (!(error instanceof BackendError) || error.errorClass === 'unreachable') throw error;
      }
      if (outcome === 'delayed') return;
      if (this.#failed.delete(delivery.handle)) onKept(delivery, dueMs - clock.now());
    });
  }

  #add(delivery: Delivery, report: () => Promise<void>): void {
    this.#failed.set(delivery.handle, { delivery, report });
    this.#flush();
  }

  /** Drops a job whose lease went to another consumer. */
  drop(handle: string): void {
    const delivery = this.#handled.get(handle) ?? this.#failed.get(handle)?.delivery;
    if (delivery !== undefined) this.#remove(delivery);
  }

  /**
   * Resolves once the store has confirmed everything, or, after the signal is aborted, has been asked once more: it may
   * confirm at once what succeeded just now.
   */
  async finish(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#giveUp.abort(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    while (this.#flushing !== undefined) await this.#flushing;
    signal.removeEventListener('abort', onAbort);
    this.#giveUp.abort();
  }

  #flush(): void {
    this.#hasNew = true;
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = undefined;
      if (this.#hasNew) this.#flush();
    });
  }

  async #flushAll(): Promise<void> {
    const { subscription, clock, random, stalls } = this.#deps;
    const { signal } = this.#giveUp;
    const delays = refusalBackoff.delays(random);
    // One microtask later, so that jobs handled in the same turn share a batch.
    await Promise.resolve();
    while (this.size > 0 && !signal.aborted) {
      try {
        await subscription.whenConnected(signal);
        await this.#flushOnce();
        stalls.succeeded('settle');
      } catch (error) {
        if (!signal.aborted) stalls.failed('settle', error);
        await sleep(clock, delays.next().value, signal).catch(() => undefined);
      }
    }
    if (this.size > 0) await this.#flushLast();
    else this.#hasNew = false;
  }

  /** One attempt after the consumer has given up. What the store does not confirm is only remembered. */
  async #flushLast(): Promise<void> {
    const { memory } = this.#deps;
    this.#hasNew = false;
    const tried = [...this.#handled.values(), ...[...this.#failed.values()].map(deliveryOf)];
    await this.#flushOnce().catch(() => undefined);
    for (const delivery of tried) memory.end(delivery);
  }

  async #flushOnce(): Promise<void> {
    const { subscription, outcomes } = this.#deps;
    if (this.#handled.size > 0) {
      const batch = [...this.#handled.values()];
      await subscription.acknowledge(
        batch.map(({ handle }) => handle),
        outcomes?.of(batch),
      );
      for (const delivery of batch) this.#remove(delivery);
    }
    const failed = [...this.#failed.values()].slice(0, MAX_AT_ONCE);
    const ends = await Promise.allSettled(failed.map((job) => this.#report(job)));
    // One that is refused does not hold up the others.
    const refused = ends.find((end) => end.status === 'rejected');
    if (refused !== undefined) throw refused.reason;
  }

  async #report(job: FailedJob): Promise<void> {
    const { handle } = job.delivery;
    try {
      await job.report();
      if (this.#failed.get(handle) === job) this.#remove(job.delivery);
    } catch (error) {
      // Behind the others.
      if (this.#failed.delete(handle)) this.#failed.set(handle, job);
      throw error;
    }
  }

  #remove(delivery: Delivery): void {
    this.#handled.delete(delivery.handle);
    this.#failed.delete(delivery.handle);
    this.#deps.memory.end(delivery);
    this.#deps.outcomes?.ended(delivery);
  }
}

function deliveryOf({ delivery }: FailedJob): Delivery {
  return delivery;
}
