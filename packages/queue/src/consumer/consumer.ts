import {
  type Backoff,
  type Clock,
  type Emitter,
  type Random,
  type Timer,
  exponentialBackoff,
  sleep,
} from '@holdfast/foundation';
import { type RateLimiter, createRateLimiter } from '@holdfast/resilience';
import type { Delivery, Subscription } from '../backend.ts';
import {
  type ResolvedProcessOptions,
  UNLIMITED_PER_SECOND,
  parseCloseDeadlineMs,
} from '../options.ts';
import type { Consumer, ConsumerStats, QueueEvents } from '../queue.ts';
import { refusalBackoff } from '../recovery/refusal-backoff.ts';
import { Acknowledger } from './acknowledger.ts';
import { type ExecuteJob, JobExecution } from './job-execution.ts';
import { Prefetch } from './prefetch.ts';

interface ConsumerDeps {
  readonly topic: string;
  readonly subscription: Subscription;
  readonly executeJob: ExecuteJob;
  readonly options: ResolvedProcessOptions;
  readonly events: Emitter<QueueEvents>;
  readonly clock: Clock;
  readonly random: Random;
  readonly onClosed: () => void;
}

/** The interval at which orphaned jobs are looked for. */
const RECOVER_EVERY_MS = 1_000;
/** A rate limit is granted in this many parts of a second, which keeps bursts small. */
const PARTS_PER_SECOND = 20;

/**
 * Takes jobs of one topic, runs the handler on each, and reports the result to the store.
 *
 *     fetched or recovered ──▶ running ──▶ handled ──▶ acknowledged   (kept until the store confirms it)
 *                                 │  ▲
 *                          failed ▼  │ after a delay, while attempts remain
 *                               waiting ──────▶ dead letter
 *
 * Renews the lease of every job from `running` until it is confirmed. When the lease of a job goes to another
 * consumer, the job's signal is aborted and the job is not acknowledged.
 */
export class TopicConsumer implements Consumer {
  readonly topic: string;
  readonly #deps: ConsumerDeps;
  readonly #running = new Map<string, JobExecution>();
  readonly #runningIds = new Set<string>();
  readonly #prefetch: Prefetch;
  readonly #acknowledger: Acknowledger;
  readonly #rateLimiter: RateLimiter;
  readonly #retries: Backoff;
  readonly #closing = new AbortController();
  readonly #counts = { handled: 0, failed: 0, deadLettered: 0, recovered: 0, redelivered: 0 };
  readonly #loop: Promise<void>;
  #onFreeSlot: () => void = () => undefined;
  #lastRecoveryMs = -Infinity;
  #heartbeat: Timer;
  #closed: Promise<void> | undefined;
  /** The consumer is closed: leases are not renewed any more. */
  #isOver = false;

  constructor(deps: ConsumerDeps) {
    this.topic = deps.topic;
    this.#deps = deps;
    const { maxRememberedJobs, maxPerSecond, retryDelayMs, concurrency } = deps.options;
    this.#acknowledger = new Acknowledger({ ...deps, maxRememberedJobs });
    this.#rateLimiter = createRateLimiter({
      maxTokens: Math.ceil(maxPerSecond / PARTS_PER_SECOND),
      refillRate: maxPerSecond,
      clock: deps.clock,
    });
    this.#retries = exponentialBackoff({
      initialDelayMs: retryDelayMs,
      maxDelayMs: Math.max(retryDelayMs, 60_000),
    });
    // With a rate limit, a job is fetched only when it may be started.
    const isLimited = maxPerSecond < UNLIMITED_PER_SECOND;
    this.#prefetch = new Prefetch(isLimited ? 0 : concurrency, deps.clock.now());
    this.#heartbeat = this.#scheduleHeartbeat();
    this.#loop = this.#takeJobs();
  }

  getStats(): ConsumerStats {
    return {
      running: this.#running.size,
      unconfirmed: this.#acknowledger.size,
      ...this.#counts,
    };
  }

  async close(options?: { deadlineMs?: number }): Promise<void> {
    const deadlineMs = parseCloseDeadlineMs(options);
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<void> {
    const { clock, subscription, onClosed } = this.#deps;
    this.#closing.abort();
    this.#onFreeSlot();
    const giveUp = new AbortController();
    const deadline = clock.schedule(deadlineMs, () => giveUp.abort(), { holdsProcess: false });
    giveUp.signal.addEventListener('abort', () => {
      this.#prefetch.clear();
      for (const execution of this.#running.values()) {
        execution.abort(new Error(`${this.topic}: the consumer is closing`));
      }
    });
    await this.#loop;
    await this.#untilIdle(giveUp.signal);
    await this.#acknowledger.finish(giveUp.signal);
    deadline.cancel();
    this.#isOver = true;
    this.#heartbeat.cancel();
    await subscription.close();
    await this.#rateLimiter.close();
    onClosed();
  }

  /** Resolves once no handler runs, or the signal is aborted. */
  async #untilIdle(signal: AbortSignal): Promise<void> {
    while (this.#running.size > 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#onFreeSlot = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  async #takeJobs(): Promise<void> {
    const { subscription, options, clock, random } = this.#deps;
    const { signal } = this.#closing;
    let delays = refusalBackoff.delays(random);
    while (!signal.aborted) {
      try {
        await subscription.whenConnected(signal);
        const wanted = options.concurrency - this.#running.size + this.#prefetch.room;
        const { availableTokens } = this.#rateLimiter.getStats();
        if (wanted === 0) await this.#untilFreeSlot();
        else if (availableTokens > 0) await this.#takeUpTo(Math.min(wanted, availableTokens));
        else await sleep(clock, this.#rateLimiter.retryAfterMs(), signal);
        delays = refusalBackoff.delays(random);
      } catch {
        // The connection's events report failures of the store; here they only cause a delay.
        this.#lastRecoveryMs = -Infinity;
        await sleep(clock, delays.next().value, signal).catch(() => undefined);
      }
    }
  }

  async #takeUpTo(wanted: number): Promise<void> {
    const { subscription, clock, topic, events } = this.#deps;
    this.#prefetch.measure(clock.now());
    const isRecoveryDue = clock.now() - this.#lastRecoveryMs >= RECOVER_EVERY_MS;
    if (!isRecoveryDue) {
      for (const delivery of await subscription.fetch(wanted)) this.#admit(delivery);
      return;
    }
    const { deliveries, lost } = await subscription.recover(this.#heldHandles(), wanted);
    this.#abortLost(lost);
    const unknown = deliveries.filter((delivery) => !this.#isKnown(delivery));
    // There may be more jobs to recover, which precede new ones: a read whose reply was lost may have taken more
    // jobs than there is room for now.
    const isComplete = deliveries.length < wanted || unknown.length === 0;
    if (isComplete) this.#lastRecoveryMs = clock.now();
    for (const delivery of unknown) {
      this.#counts.recovered += 1;
      const { id, deliveries: attempt } = delivery;
      events.emit('recovered', { topic, id, attempt, atMs: clock.now() });
      this.#admit(delivery);
    }
  }

  #untilFreeSlot(): Promise<void> {
    return new Promise((resolve) => {
      this.#onFreeSlot = resolve;
    });
  }

  /** Starts the job, or keeps it for the next free slot. */
  #admit(delivery: Delivery): void {
    if (this.#running.size < this.#deps.options.concurrency) this.#start(delivery);
    else this.#prefetch.add(delivery);
  }

  #start(delivery: Delivery): void {
    const wasConfirmed = this.#acknowledger.wasConfirmed(delivery);
    if (wasConfirmed || this.#isKnown(delivery)) {
      this.#reportRedelivered(delivery.id);
      if (wasConfirmed) this.#acknowledger.acknowledge(delivery);
      return;
    }
    this.#rateLimiter.tryAcquire();
    this.#prefetch.recordStart();
    const execution = new JobExecution();
    this.#running.set(delivery.handle, execution);
    this.#runningIds.add(delivery.id);
    void this.#occupySlot(delivery, execution);
  }

  async #occupySlot(delivery: Delivery, execution: JobExecution): Promise<void> {
    try {
      await this.#handle(delivery, execution);
    } finally {
      this.#running.delete(delivery.handle);
      this.#runningIds.delete(delivery.id);
      this.#fillSlots();
      this.#onFreeSlot();
    }
  }

  #fillSlots(): void {
    while (this.#running.size < this.#deps.options.concurrency) {
      const next = this.#prefetch.next();
      if (next === undefined) return;
      this.#start(next);
    }
  }

  #reportRedelivered(id: string): void {
    const { topic, events, clock } = this.#deps;
    this.#counts.redelivered += 1;
    events.emit('redelivered', { topic, id, atMs: clock.now() });
  }

  /** Runs the handler until it succeeds, its attempts are used up, or the lease is lost. */
  async #handle(delivery: Delivery, execution: JobExecution): Promise<void> {
    const { executeJob, options, random, topic } = this.#deps;
    const { maxAttempts, whenExhausted } = options;
    let delays: Iterator<number, never> | undefined;
    let attempt = delivery.deliveries;
    while (true) {
      try {
        const payload: unknown = JSON.parse(delivery.payload);
        const { id, enqueuedAtMs, history } = delivery;
        const job = { id, topic, payload, attempt, enqueuedAtMs, ...(history && { history }) };
        const outcome = await executeJob(job, execution);
        if (outcome === 'known') this.#reportRedelivered(id);
        else this.#counts.handled += 1;
        this.#acknowledger.acknowledge(delivery);
        return;
      } catch (error) {
        this.#counts.failed += 1;
        if (execution.isAborted) return;
        if (attempt >= maxAttempts && whenExhausted === 'dead-letter') {
          return this.#deadLetter(delivery, attempt, String(error));
        }
        attempt += 1;
        delays ??= this.#retries.delays(random);
        if (!(await this.#waitForRetry(delays.next().value, execution))) return;
      }
    }
  }

  #deadLetter(delivery: Delivery, attempts: number, reason: string): void {
    const { topic, events, clock } = this.#deps;
    const { id } = delivery;
    this.#counts.deadLettered += 1;
    this.#acknowledger.deadLetter({ ...delivery, deliveries: attempts }, reason);
    events.emit('dead-lettered', { topic, id, attempts, reason, atMs: clock.now() });
  }

  /** @returns false when the lease was lost, or when the consumer closes: the next consumer then takes the job. */
  #waitForRetry(delayMs: number, execution: JobExecution): Promise<boolean> {
    const signal = AbortSignal.any([execution.signal, this.#closing.signal]);
    return sleep(this.#deps.clock, delayMs, signal).then(
      () => true,
      () => false,
    );
  }

  /**
   * Whether the job is running, or handled and not yet confirmed, possibly under another handle. That delivery is
   * recovered again until this one is settled.
   */
  #isKnown({ id }: Delivery): boolean {
    return this.#runningIds.has(id) || this.#acknowledger.has(id);
  }

  #heldHandles(): string[] {
    return [...this.#running.keys(), ...this.#prefetch.handles(), ...this.#acknowledger.handles()];
  }

  #abortLost(lost: readonly string[]): void {
    if (lost.length > 0) this.#prefetch.drop(lost);
    for (const handle of lost) {
      const reason = new Error(`${this.topic}: the lease went to another consumer`);
      this.#running.get(handle)?.abort(reason);
      this.#acknowledger.drop(handle);
    }
  }

  #scheduleHeartbeat(): Timer {
    const { clock, subscription, options } = this.#deps;
    const beat = async (): Promise<void> => {
      const held = this.#heldHandles();
      if (held.length > 0) {
        await subscription.recover(held, 0).then(
          ({ lost }) => this.#abortLost(lost),
          () => undefined,
        );
      }
      if (!this.#isOver) this.#heartbeat = this.#scheduleHeartbeat();
    };
    return clock.schedule(options.leaseMs / 3, () => void beat(), { holdsProcess: false });
  }
}
