import {
  type Emitter,
  type Backoff,
  type Clock,
  type Random,
  type Timer,
  exponentialBackoff,
  sleep,
} from '@holdfast/foundation';
import { type RateLimiter, createRateLimiter } from '@holdfast/resilience';
import { Prefetch } from './prefetch.ts';
import type { Delivery, Subscription } from '../backend.ts';
import {
  type ResolvedProcessOptions,
  UNPACED_PER_SECOND,
  parseCloseDeadlineMs,
} from '../options.ts';
import type { ExecuteJob } from './handler.ts';
import type { Consumer, ConsumerStats, QueueEvents } from '../queue.ts';
import { refusalBackoff } from '../refusal-backoff.ts';
import { JobExecution } from './job-execution.ts';
import { Acknowledger } from './acknowledger.ts';

export interface ConsumerDeps {
  readonly topic: string;
  readonly subscription: Subscription;
  readonly perform: ExecuteJob;
  readonly tuning: ResolvedProcessOptions;
  readonly announcer: Emitter<QueueEvents>;
  readonly clock: Clock;
  readonly random: Random;
  readonly onClosed: () => void;
}

/** How often, at least, jobs that nobody alive works on are looked for. */
const RECOVER_EVERY_MS = 1_000;
/** Into how many parts a second is divided where the rate is limited: the bursts are this much smaller. */
const PACED_PER_SECOND = 20;

/**
 * Takes jobs of one topic, runs the handler on each, and tells the store what became of them.
 *
 *     fetched or recovered ──▶ running ──▶ handled ──▶ acknowledged   (kept until the store confirms it)
 *                                 │  ▲
 *                          failed ▼  │ after a delay, while attempts remain
 *                               waiting ──────▶ dead letter
 *
 * The lease of everything from `running` to the confirmation is renewed; a job whose lease went to another
 * consumer has its signal aborted and is not acknowledged.
 */
export class TopicConsumer implements Consumer {
  readonly topic: string;
  readonly #parts: ConsumerDeps;
  readonly #running = new Map<string, JobExecution>();
  readonly #runningIds = new Set<string>();
  readonly #ahead: Prefetch;
  readonly #settlement: Acknowledger;
  readonly #pace: RateLimiter;
  readonly #retries: Backoff;
  readonly #closing = new AbortController();
  readonly #counts = { handled: 0, failed: 0, deadLettered: 0, recovered: 0, redelivered: 0 };
  readonly #loop: Promise<void>;
  #onFreeSlot: () => void = () => undefined;
  #lastRecoveryMs = -Infinity;
  #heartbeat: Timer;
  #closed: Promise<void> | undefined;
  /** No lease is renewed any more. */
  #isOver = false;

  constructor(parts: ConsumerDeps) {
    this.topic = parts.topic;
    this.#parts = parts;
    this.#settlement = new Acknowledger({
      ...parts,
      maxRememberedJobs: parts.tuning.maxRememberedJobs,
    });
    const { maxPerSecond } = parts.tuning;
    this.#pace = createRateLimiter({
      maxTokens: Math.ceil(maxPerSecond / PACED_PER_SECOND),
      refillRate: maxPerSecond,
      clock: parts.clock,
    });
    const { retryDelayMs } = parts.tuning;
    this.#retries = exponentialBackoff({
      initialDelayMs: retryDelayMs,
      maxDelayMs: Math.max(retryDelayMs, 60_000),
    });
    // What may be begun per second is taken as it may be begun.
    const isPaced = maxPerSecond < UNPACED_PER_SECOND;
    this.#ahead = new Prefetch(isPaced ? 0 : parts.tuning.concurrency, parts.clock.now());
    this.#heartbeat = this.#scheduleHeartbeat();
    this.#loop = this.#takeJobs();
  }

  getStats(): ConsumerStats {
    return {
      running: this.#running.size,
      unconfirmed: this.#settlement.size,
      ...this.#counts,
    };
  }

  async close(options?: { deadlineMs?: number }): Promise<void> {
    const deadlineMs = parseCloseDeadlineMs(options);
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<void> {
    const { clock, subscription, onClosed } = this.#parts;
    this.#closing.abort();
    this.#onFreeSlot();
    const giveUp = new AbortController();
    const deadline = clock.schedule(deadlineMs, () => giveUp.abort(), { holdsProcess: false });
    giveUp.signal.addEventListener('abort', () => {
      this.#ahead.clear();
      for (const run of this.#running.values())
        run.abort(new Error(`${this.topic}: the consumer is closing`));
    });
    await this.#loop;
    await this.#untilIdle(giveUp.signal);
    await this.#settlement.finish(giveUp.signal);
    deadline.cancel();
    this.#isOver = true;
    this.#heartbeat.cancel();
    await subscription.close();
    await this.#pace.close();
    onClosed();
  }

  /** Resolves once no handler runs, or the signal says not to wait for them. */
  async #untilIdle(signal: AbortSignal): Promise<void> {
    while (this.#running.size > 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#onFreeSlot = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  async #takeJobs(): Promise<void> {
    const { subscription, tuning, clock, random } = this.#parts;
    const { signal } = this.#closing;
    let delays = refusalBackoff.delays(random);
    while (!signal.aborted) {
      try {
        await subscription.whenConnected(signal);
        const wanted = tuning.concurrency - this.#running.size + this.#ahead.room;
        const { availableTokens } = this.#pace.getStats();
        if (wanted === 0) await this.#untilFreeSlot();
        else if (availableTokens > 0) await this.#takeUpTo(Math.min(wanted, availableTokens));
        else await sleep(clock, this.#pace.retryAfterMs(), signal);
        delays = refusalBackoff.delays(random);
      } catch {
        // What the store's failures mean is told by the link's events; here they only mean: later.
        this.#lastRecoveryMs = -Infinity;
        await sleep(clock, delays.next().value, signal).catch(() => undefined);
      }
    }
  }

  async #takeUpTo(wanted: number): Promise<void> {
    const { subscription, clock, topic, announcer } = this.#parts;
    this.#ahead.measure(clock.now());
    const isRecoveryDue = clock.now() - this.#lastRecoveryMs >= RECOVER_EVERY_MS;
    if (!isRecoveryDue) {
      for (const delivery of await subscription.fetch(wanted)) this.#admit(delivery);
      return;
    }
    const { deliveries, lost } = await subscription.recover(this.#held(), wanted);
    this.#giveUpLost(lost);
    const unknown = deliveries.filter((delivery) => !this.#isKnown(delivery));
    // Where there may be more of them, those come before anything new, which is younger: a read whose reply was
    // lost may have taken more than there is room for now.
    const isThrough = deliveries.length < wanted || unknown.length === 0;
    if (isThrough) this.#lastRecoveryMs = clock.now();
    for (const delivery of unknown) {
      this.#counts.recovered += 1;
      const { id, deliveries: attempt } = delivery;
      announcer.emit('recovered', { topic, id, attempt, atMs: clock.now() });
      this.#admit(delivery);
    }
  }

  #untilFreeSlot(): Promise<void> {
    return new Promise((resolve) => {
      this.#onFreeSlot = resolve;
    });
  }

  /** Into a slot, or in line for the next one that gets free. */
  #admit(delivery: Delivery): void {
    if (this.#running.size < this.#parts.tuning.concurrency) this.#start(delivery);
    else this.#ahead.add(delivery);
  }

  #start(delivery: Delivery): void {
    const wasConfirmed = this.#settlement.wasConfirmed(delivery);
    if (wasConfirmed || this.#isKnown(delivery)) {
      this.#tellRedelivered(delivery.id);
      if (wasConfirmed) this.#settlement.acknowledge(delivery);
      return;
    }
    this.#pace.tryAcquire();
    this.#ahead.recordStart();
    const run = new JobExecution();
    this.#running.set(delivery.handle, run);
    this.#runningIds.add(delivery.id);
    void this.#occupySlot(delivery, run);
  }

  async #occupySlot(delivery: Delivery, run: JobExecution): Promise<void> {
    try {
      await this.#handle(delivery, run);
    } finally {
      this.#running.delete(delivery.handle);
      this.#runningIds.delete(delivery.id);
      this.#fillSlot();
      this.#onFreeSlot();
    }
  }

  #fillSlot(): void {
    while (this.#running.size < this.#parts.tuning.concurrency) {
      const next = this.#ahead.next();
      if (next === undefined) return;
      this.#start(next);
    }
  }

  #tellRedelivered(id: string): void {
    const { topic, announcer, clock } = this.#parts;
    this.#counts.redelivered += 1;
    announcer.emit('redelivered', { topic, id, atMs: clock.now() });
  }

  /** Runs the handler until it succeeds, its attempts are used up, or the job is somebody else's. */
  async #handle(delivery: Delivery, run: JobExecution): Promise<void> {
    const { perform, tuning, clock, random, topic, announcer } = this.#parts;
    let delays: Iterator<number, never> | undefined;
    let attempt = delivery.deliveries;
    while (true) {
      try {
        const payload: unknown = JSON.parse(delivery.payload);
        const { id, enqueuedAtMs, history } = delivery;
        const job = { id, topic, payload, attempt, enqueuedAtMs, ...(history && { history }) };
        const outcome = await perform(job, run);
        if (outcome === 'known') this.#tellRedelivered(id);
        else this.#counts.handled += 1;
        this.#settlement.acknowledge(delivery);
        return;
      } catch (error) {
        this.#counts.failed += 1;
        if (run.isAborted) return;
        if (attempt >= tuning.maxAttempts && tuning.whenExhausted === 'dead-letter') {
          const reason = String(error);
          this.#counts.deadLettered += 1;
          this.#settlement.bury(delivery, reason);
          const atMs = clock.now();
          announcer.emit('dead-lettered', {
            topic,
            id: delivery.id,
            attempts: attempt,
            reason,
            atMs,
          });
          return;
        }
        attempt += 1;
        delays ??= this.#retries.delays(random);
        const waited = sleep(
          clock,
          delays.next().value,
          AbortSignal.any([run.signal, this.#closing.signal]),
        );
        // A closing consumer leaves what it has not managed to the next one.
        if (
          !(await waited.then(
            () => true,
            () => false,
          ))
        )
          return;
      }
    }
  }

  /**
   * It is being handled, or handled and about to be acknowledged; be it under another handle, which is then
   * asked for again until this one is settled.
   */
  #isKnown({ id }: Delivery): boolean {
    return this.#runningIds.has(id) || this.#settlement.has(id);
  }

  #held(): string[] {
    return [...this.#running.keys(), ...this.#ahead.handles(), ...this.#settlement.handles()];
  }

  #giveUpLost(lost: readonly string[]): void {
    if (lost.length > 0) this.#ahead.forget(lost);
    for (const handle of lost) {
      this.#running
        .get(handle)
        ?.abort(new Error(`${this.topic}: the lease went to another consumer`));
      this.#settlement.forget(handle);
    }
  }

  #scheduleHeartbeat(): Timer {
    const { clock, subscription, tuning } = this.#parts;
    const beat = async (): Promise<void> => {
      const held = this.#held();
      if (held.length > 0) {
        await subscription.recover(held, 0).then(
          ({ lost }) => this.#giveUpLost(lost),
          () => undefined,
        );
      }
      if (!this.#isOver) this.#heartbeat = this.#scheduleHeartbeat();
    };
    return clock.schedule(tuning.leaseMs / 3, () => void beat(), { holdsProcess: false });
  }
}
