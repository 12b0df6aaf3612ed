import { type Clock, type Emitter, type Random, sleep } from '@holdfast/foundation';
import type { RateLimiter } from '@holdfast/resilience';
import type { BackendFailure, Delivery, Subscription } from '../backend.ts';
import {
  type ResolvedProcessOptions,
  UNLIMITED_PER_SECOND,
  parseCloseDeadlineMs,
} from '../options.ts';
import { Notifier } from '../notifier.ts';
import type { Consumer, ConsumerStats, QueueEvents } from '../queue.ts';
import type { OutcomeKeeper } from '../outcomes/outcome-keeper.ts';
import type { StandardSchema } from '../producer/schema.ts';
import { refusalBackoff } from '../recovery/refusal-backoff.ts';
import { jobOf } from '../tracing/delivered-job.ts';
import { Acknowledger } from './acknowledger.ts';
import { ControlWatch } from './held/control-watch.ts';
import { Attempts } from './attempts.ts';
import { PROCESS_DIED, boundedHistory, failureOf } from './failure.ts';
import {
  type ExecuteJob,
  type ExecuteLimited,
  JobExecution,
  decodePayload,
  limitTime,
} from './job-execution.ts';
import { HeldJobs } from './held/held-jobs.ts';
import type { JobMemory } from './job-memory.ts';
import { JobReports } from './job-reports.ts';
import { LeaseHeartbeat } from './lease-heartbeat.ts';
import { Prefetch } from './prefetch.ts';
import { Recoveries } from './recoveries.ts';
import { StallReporter } from './stall-reporter.ts';
import { createStartLimiter } from './start-limiter.ts';
import { WaitingJobs } from './waiting-jobs.ts';

interface ConsumerDeps {
  readonly topic: string;
  readonly subscription: Subscription;
  /** The schema of the topic's payloads. */
  readonly schema: StandardSchema | undefined;
  readonly executeJob: ExecuteJob;
  readonly options: ResolvedProcessOptions;
  readonly events: Emitter<QueueEvents>;
  readonly clock: Clock;
  readonly random: Random;
  readonly memory: JobMemory;
  readonly outcomes: OutcomeKeeper | undefined;
  readonly onClosed: () => void;
}

/** The most failed jobs that wait for their next attempt in this process; then no more are taken. */
const MAX_WAITING_JOBS = 1_000;
/** How long a failed job that waits here waits once more while its topic is paused. */
const PAUSED_MS = 500;

/**
 * Takes jobs of one topic, runs the handler on each, and reports the result to the store.
 *
 *     fetched or recovered ──▶ running ──▶ handled ──▶ acknowledged   (kept until the store confirms it)
 *                                 │
 *                                 ├─ failed, attempts remain ──▶ put aside, by the store or here, until it is due
 *                                 └─ otherwise ──▶ dead letter
 *
 * Renews the lease of every job from `running` until it is confirmed. When the lease of a job goes to another
 * consumer, the job's signal is aborted and the job is not acknowledged. While leases are not certain, because the
 * store has not answered for a while, no job is started.
 *
 * A job that was delivered more often than it may be tried is what its processes died of: it becomes a dead letter
 * without another attempt. Those that ran beside it are innocent, so for its last delivery a job is taken over alone.
 */
export class TopicConsumer implements Consumer {
  readonly topic: string;
  readonly #deps: ConsumerDeps;
  readonly #running = new Map<string, JobExecution>();
  readonly #prefetch: Prefetch;
  readonly #recoveries: Recoveries;
  readonly #acknowledger: Acknowledger;
  readonly #waiting: WaitingJobs;
  readonly #stalls: StallReporter;
  readonly #rateLimiter: RateLimiter;
  readonly #attempts: Attempts;
  readonly #execute: ExecuteLimited;
  readonly #closing = new AbortController();
  readonly #reports: JobReports;
  readonly #loop: Promise<void>;
  readonly #heartbeat: LeaseHeartbeat;
  readonly #renewals = new Notifier();
  readonly #held: HeldJobs;
  readonly #watch: ControlWatch;
  #onFreeSlot: () => void = () => undefined;
  #closed: Promise<void> | undefined;

  constructor(deps: ConsumerDeps) {
    this.topic = deps.topic;
    this.#deps = deps;
    const { maxPerSecond, concurrency, leaseMs, limits } = deps.options;
    this.#attempts = new Attempts(deps.topic, deps.options, deps.random);
    const onLost: HeldJobs['drop'] = (...them) => this.#held.drop(...them);
    this.#recoveries = new Recoveries({ ...deps, attempts: this.#attempts, onLost });
    this.#reports = new JobReports(deps);
    this.#execute = limitTime(deps, (...job) => this.#reports.timedOut(...job));
    this.#stalls = new StallReporter(deps);
    const onKept: WaitingJobs['add'] = (...job) => this.#waiting.add(...job);
    this.#acknowledger = new Acknowledger({ ...deps, stalls: this.#stalls, onKept });
    this.#waiting = new WaitingJobs(deps.clock, (delivery) => this.#retry(delivery));
    this.#rateLimiter = createStartLimiter(maxPerSecond, deps.clock);
    // With a rate limit, a job is fetched only when it may be started.
    const isLimited = maxPerSecond < UNLIMITED_PER_SECOND || limits !== undefined;
    this.#prefetch = new Prefetch(isLimited ? 0 : concurrency, deps.clock.now());
    const jobs = { running: this.#running, prefetch: this.#prefetch, waiting: this.#waiting };
    this.#held = new HeldJobs({ ...deps, ...jobs, acknowledger: this.#acknowledger });
    this.#watch = new ControlWatch({ ...deps, held: this.#held });
    this.#heartbeat = new LeaseHeartbeat({ ...deps, leaseMs, renew: () => this.#renew() });
    this.#loop = this.#takeJobs();
  }

  getStats(): ConsumerStats {
    const stalled = this.#stalls.current;
    return {
      running: this.#running.size,
      unconfirmed: this.#acknowledger.size,
      waiting: this.#waiting.size,
      ...this.#reports.counts,
      ...(stalled && { stalled }),
    };
  }

  /** The consumer's own connection cannot be made. */
  connectionFailed(failure: BackendFailure): void {
    this.#stalls.failed('connect', failure);
  }

  close(options?: { deadlineMs?: number }): Promise<void> {
    try {
      const deadlineMs = parseCloseDeadlineMs(options);
      return (this.#closed ??= this.#close(deadlineMs));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #close(deadlineMs: number): Promise<void> {
    const { clock, subscription, onClosed } = this.#deps;
    this.#closing.abort();
    this.#onFreeSlot();
    const giveUp = new AbortController();
    // Holds the process: whoever waits for the end of `close` has to see it.
    const deadline = clock.schedule(deadlineMs, () => giveUp.abort());
    giveUp.signal.addEventListener('abort', () => {
      for (const execution of this.#running.values()) {
        execution.abort(new Error(`${this.topic}: the consumer is closing`));
      }
    });
    await this.#loop;
    await this.#handBack();
    await this.#untilIdle(giveUp.signal);
    // Handlers that end at once when they are aborted leave their jobs to others.
    if (giveUp.signal.aborted) await sleep(clock, 0);
    await this.#acknowledger.finish(giveUp.signal);
    deadline.cancel();
    this.#heartbeat.stop();
    this.#watch.stop();
    await this.#handBack();
    await subscription.close([...this.#running.keys(), ...this.#acknowledger.handles()]);
    await this.#acknowledger.finish(giveUp.signal);
    await this.#rateLimiter.close();
    onClosed();
  }

  /** Jobs that were not started, or wait for their next attempt, go to other consumers at once. */
  async #handBack(): Promise<void> {
    const { subscription, memory } = this.#deps;
    const waiting = this.#waiting.takeAll();
    for (const delivery of waiting) memory.end(delivery);
    const jobs = [...waiting, ...this.#prefetch.takeAll()];
    // Where the store cannot be reached, their leases expire.
    if (jobs.length > 0) await subscription.release?.(jobs).catch(() => undefined);
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
        signal.throwIfAborted();
        this.#stalls.succeeded('connect');
        const isFull = this.#waiting.size >= MAX_WAITING_JOBS;
        const free = options.concurrency - this.#running.size - this.#prefetch.size;
        const wanted = isFull ? 0 : Math.max(0, free) + this.#prefetch.room;
        const { availableTokens } = this.#rateLimiter.getStats();
        if (wanted === 0) await this.#untilFreeSlot();
        else if (availableTokens > 0) await this.#takeUpTo(Math.min(wanted, availableTokens));
        else await sleep(clock, this.#rateLimiter.retryAfterMs(), signal);
        delays = refusalBackoff.delays(random);
      } catch (error) {
        if (!signal.aborted) this.#stalls.failed('take', error);
        this.#recoveries.failed();
        await sleep(clock, delays.next().value, signal).catch(() => undefined);
      }
    }
  }

  async #takeUpTo(wanted: number): Promise<void> {
    const { subscription, clock } = this.#deps;
    const startedMs = clock.now();
    this.#prefetch.measure(startedMs);
    const { waitMs } = this.#recoveries;
    if (waitMs <= 0) return this.#takeRecovered(wanted);
    const fetched = await subscription.fetch(wanted, waitMs, this.#closing.signal);
    this.#recoveries.answered(startedMs, waitMs);
    this.#stalls.succeeded('take');
    for (const delivery of fetched) {
      if (delivery.isRecovered === true) this.#takeOver(delivery);
      else this.#admit(delivery);
    }
  }

  async #takeRecovered(wanted: number): Promise<void> {
    const held = this.#held.handles();
    const { deliveries, isPartial } = await this.#recoveries.recover(held, wanted);
    this.#renewed();
    const unknown = deliveries.filter((delivery) => !this.#deps.memory.isActive(delivery));
    // There may be more jobs to recover, which precede new ones: a read whose reply was lost may have taken more
    // jobs than there is room for now.
    const isLast = deliveries.length < wanted && isPartial === undefined;
    if (isLast || unknown.length === 0) this.#recoveries.complete();
    for (const delivery of unknown) this.#takeOver(delivery);
  }

  #takeOver(delivery: Delivery): void {
    this.#reports.recovered(delivery);
    if (this.#attempts.diedTooOften(delivery)) {
      this.#deps.memory.begin(delivery);
      return this.#deadLetter(delivery, delivery.deliveries - 1, { reason: PROCESS_DIED });
    }
    this.#recoveries.started(delivery);
    this.#admit(delivery);
  }

  #untilFreeSlot(): Promise<void> {
    return new Promise((resolve) => {
      this.#onFreeSlot = resolve;
    });
  }

  /** Starts the job, or keeps it for the next free slot. */
  #admit(delivery: Delivery): void {
    this.#watch.start();
    if (this.#mayStart || this.#deps.memory.wasHandled(delivery)) this.#start(delivery);
    else this.#prefetch.add(delivery);
  }

  get #mayStart(): boolean {
    return this.#running.size < this.#deps.options.concurrency && this.#mayBegin;
  }

  get #mayBegin(): boolean {
    return !this.#closing.signal.aborted && this.#recoveries.isCertain;
  }

  #start(delivery: Delivery): void {
    const { memory } = this.#deps;
    const wasHandled = memory.wasHandled(delivery);
    if (wasHandled || memory.isActive(delivery)) {
      this.#recoveries.ended(delivery.handle);
      this.#reports.redelivered(delivery.id);
      if (wasHandled) this.#acknowledger.acknowledge(delivery);
      return;
    }
    memory.begin(delivery);
    this.#run(delivery);
  }

  #run(delivery: Delivery): void {
    this.#rateLimiter.tryAcquire();
    this.#prefetch.recordStart();
    const execution = new JobExecution(() => this.#mayBegin);
    this.#running.set(delivery.handle, execution);
    void this.#occupySlot(delivery, execution);
  }

  #retry(delivery: Delivery): void {
    if (this.#watch.isPaused) return this.#waiting.add(delivery, PAUSED_MS);
    this.#deps.memory.end(delivery);
    this.#admit({ ...delivery, deliveries: delivery.deliveries + 1 });
    this.#onFreeSlot();
  }

  async #occupySlot(delivery: Delivery, execution: JobExecution): Promise<void> {
    try {
      await this.#handle(delivery, execution);
    } finally {
      this.#running.delete(delivery.handle);
      this.#recoveries.ended(delivery.handle);
      this.#fillSlots();
      this.#onFreeSlot();
    }
  }

  #fillSlots(): void {
    while (this.#mayStart) {
      const next = this.#prefetch.next();
      if (next === undefined) return;
      this.#start(next);
    }
  }

  /** Runs the handler, and reports what became of the job. */
  async #handle(delivery: Delivery, execution: JobExecution): Promise<void> {
    const { options, topic, memory, schema } = this.#deps;
    let { deliveries: attempt } = delivery;
    while (true) {
      try {
        const payload = await decodePayload(topic, schema, delivery.payload);
        const job = jobOf(delivery, topic, payload, attempt);
        const outcome = await this.#execute(job, execution, this.#attempts.timeoutMsOf(delivery));
        if (outcome === 'known') this.#reports.redelivered(delivery.id);
        else this.#reports.counts.handled += 1;
        return this.#acknowledger.acknowledge(delivery);
      } catch (thrown) {
        if (execution.wasCancelled) return this.#acknowledger.acknowledge(delivery);
        if (execution.wasRefused)
          return this.#putBack({ ...delivery, deliveries: attempt }, execution);
        this.#reports.counts.failed += 1;
        if (execution.isAborted) return memory.end(delivery);
        const error = execution.failure(thrown);
        const verdict = this.#attempts.judge(error, attempt, delivery);
        if (verdict.kind === 'bury') return this.#deadLetter(delivery, attempt, failureOf(error));
        const { delayMs } = verdict;
        if (options.whenExhausted === 'dead-letter') {
          return this.#acknowledger.retryLater({ ...delivery, deliveries: attempt }, delayMs);
        }
        // The jobs behind it wait: it keeps its slot.
        attempt += 1;
        if (await this.#waitForRetry(delayMs, execution)) continue;
        if (execution.wasCancelled) return this.#acknowledger.acknowledge(delivery);
        return memory.end(delivery);
      }
    }
  }

  #putBack(delivery: Delivery, { isAborted }: JobExecution): void {
    this.#deps.memory.end(delivery);
    if (!isAborted) this.#prefetch.add(delivery);
  }

  #deadLetter(
    delivery: Delivery,
    attempts: number,
    { reason, stack }: { readonly reason: string; readonly stack?: string },
  ): void {
    const { id, history } = delivery;
    const bounded = history && { history: boundedHistory(history) };
    this.#acknowledger.deadLetter({ ...delivery, deliveries: attempts, ...bounded }, reason, stack);
    this.#reports.deadLettered(id, attempts, reason);
  }

  /** @returns false when the lease was lost, or when the consumer closes: the next consumer then takes the job. */
  async #waitForRetry(delayMs: number, execution: JobExecution): Promise<boolean> {
    const signal = AbortSignal.any([execution.signal, this.#closing.signal]);
    try {
      await sleep(this.#deps.clock, delayMs, signal);
      while (!this.#recoveries.isCertain) await this.#renewals.wait(signal);
      return true;
    } catch {
      return false;
    }
  }

  #renewed(): void {
    this.#renewals.notifyAll();
    if (this.#prefetch.size > 0) this.#fillSlots();
    this.#onFreeSlot();
  }

  async #renew(): Promise<boolean> {
    const held = this.#held.handles();
    if (held.length === 0 && !this.#recoveries.isOverdue) return true;
    try {
      await this.#recoveries.recover(held, 0);
      this.#renewed();
      return true;
    } catch {
      return false;
    }
  }
}
