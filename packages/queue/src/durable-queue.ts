import { randomBytes, randomUUID } from 'node:crypto';
import { type Emitter, createEmitter, nextEvent } from '@holdfast/foundation';
import { deadLettersOf, poisonJobsOf } from './admin/dead-letters.ts';
import { healthOf } from './admin/health.ts';
import { inspectionOf } from './admin/inspection.ts';
import { statsOf } from './admin/stats.ts';
import type { QueueBackend, Subscription } from './backend.ts';
import { createQueueControl } from './admin/queue-control.ts';
import { TopicConsumer } from './consumer/consumer.ts';
import { createJobExecutor } from './consumer/job-execution.ts';
import { useJobMemory } from './consumer/job-memory.ts';
import {
  DuplicateConsumerError,
  QueueClosedError,
  ServerUnsupportedError,
  UndrainedJobsError,
} from './errors.ts';
import { type JournalFactory, diskJournals } from './fallback/open-fallback.ts';
import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import {
  type ResolvedEnqueueManyOptions,
  type ResolvedQueueOptions,
  checkHandler,
  parseCloseDeadlineMs,
  parseEnqueueManyOptions,
  parseEnqueueOptions,
  parseNewJobs,
  parseProcessOptions,
} from './options.ts';
import { outcomesOf } from './outcomes/consumer-outcomes.ts';
import { ResultWaits } from './outcomes/result-waits.ts';
import type { ResultWaitOptions } from './outcomes/results.ts';
import { checkTopic } from './producer/payload.ts';
import type { Submission } from './state/pending-job.ts';
import { reportingRoom } from './producer/freed-room.ts';
import { QueueOpening } from './producer/queue-opening.ts';
import { OrderedValidation } from './producer/schema.ts';
import { type MakeSubmission, createSubmissions } from './enqueue/submissions.ts';
import { limitedBy } from './limits/limited-subscription.ts';
import type {
  Accepted,
  Acceptor,
  Consumer,
  DeadLetters,
  EnqueueManyOptions,
  EnqueueOptions,
  Handler,
  Inspection,
  NewJob,
  ProcessOptions,
  Queue,
  QueueEvents,
  QueueHealth,
  QueueStats,
} from './queue.ts';
import type { ScheduleInfo, Unscheduled } from './schedules/schedule.ts';
import { Schedules } from './schedules/schedules.ts';
import { queueEventKinds } from './state/queue-events.ts';
import { RemainingDelays } from './state/remaining-delays.ts';
import type { TraceCarrier } from './tracing/tracing.ts';
import { droppingExpired } from './windows/expiry.ts';

/** The queue over any backend. */
export class DurableQueue implements Queue {
  readonly #backend: QueueBackend;
  readonly #options: ResolvedQueueOptions;
  readonly #events: Emitter<QueueEvents> = createEmitter('holdfast:queue', queueEventKinds);
  readonly #opening: QueueOpening;
  readonly #delays: RemainingDelays;
  /** By topic and name. */
  readonly #consumers = new Map<string, Consumer>();
  readonly #validation = new OrderedValidation();
  /** The prefix of the ids of this queue's jobs; unique to this queue. */
  readonly #idPrefix = randomBytes(12).toString('base64url');
  #lastId = 0;
  readonly #expired = { count: 0 };
  readonly #schedules: Schedules;
  #closed: Promise<void> | undefined;
  readonly on: Queue['on'] = this.#events.on;
  readonly pause: Queue['pause'];
  readonly resume: Queue['resume'];
  readonly isPaused: Queue['isPaused'];
  readonly cancel: Queue['cancel'];
  readonly reschedule: Queue['reschedule'];
  readonly promote: Queue['promote'];
  readonly purge: Queue['purge'];
  readonly drain: Queue['drain'];
  readonly #results: ResultWaits;
  readonly #submission: MakeSubmission;

  constructor(
    backend: QueueBackend,
    options: ResolvedQueueOptions,
    journals: JournalFactory = diskJournals,
  ) {
    this.#backend = backend;
    this.#options = options;
    const events = this.#events;
    const fallback = this.#fallback;
    this.#delays = new RemainingDelays(options.tuning.clock);
    const shared = { events, fallback, delays: this.#delays };
    const newId = (): string => this.#newId();
    this.#submission = createSubmissions({ ...options, backend, delays: this.#delays, newId });
    this.#opening = new QueueOpening({ backend, options, journals, ...shared });
    this.#results = new ResultWaits({
      store: backend.outcomes,
      clock: options.tuning.clock,
      schemaOf: (topic) => options.tuning.topics.get(topic)?.result,
      assertOpen: this.#assertOpen,
    });
    const control = createQueueControl({
      backend,
      delays: this.#delays,
      newId,
      submit: (submission, signal) => this.#submit(submission, signal),
      assertOpen: this.#assertOpen,
      freed: (topic) => this.#opening.backpressure?.freed(topic),
    });
    this.pause = (...given) => control.pause(...given);
    this.resume = (...given) => control.resume(...given);
    this.isPaused = (...given) => control.isPaused(...given);
    this.cancel = (...given) => control.cancel(...given);
    this.reschedule = (...given) => control.reschedule(...given);
    this.promote = (...given) => control.promote(...given);
    this.purge = (...given) => control.purge(...given);
    this.drain = (...given) => control.drain(...given);
    this.#schedules = new Schedules({
      ...options.tuning,
      store: backend.schedules,
      events,
      enqueue: (...job) => this.enqueue(...job),
      check: (topic, payload, given) =>
        void this.#submission(topic, payload, parseEnqueueOptions(given)),
    });
  }

  get current(): Acceptor {
    const isDirect = this.state === 'direct' && this.#options.tuning.acknowledge !== 'local';
    return isDirect ? this.#backend.kind : this.#fallback;
  }

  get state(): Queue['state'] {
    if (this.#closed !== undefined) return 'closed';
    return this.#opening.opened?.producer.state.machine.shown.kind ?? 'opening';
  }

  async ready(): Promise<void> {
    const { producer } = await this.#opening.whenOpened();
    const { machine } = producer.state;
    if (machine.shown.kind === 'opening') await nextEvent(this, 'state');
    const { failure } = machine;
    if (failure?.errorClass === 'unsupported') throw new ServerUnsupportedError('ready', failure);
  }

  enqueue(topic: string, payload: unknown, options?: EnqueueOptions): Promise<Accepted> {
    // Not `async`, and nor are the functions it calls: only the job's own promise is allocated.
    try {
      const { tracing } = this.#options.tuning;
      if (tracing === undefined) return this.#enqueue(topic, payload, options);
      return tracing.enqueue(topic, 1, async (carrier) =>
        this.#enqueue(topic, payload, options, carrier),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #enqueue(
    topic: string,
    payload: unknown,
    options: EnqueueOptions | undefined,
    carrier?: TraceCarrier,
  ): Promise<Accepted> {
    if (this.#closed !== undefined) throw new QueueClosedError('enqueue');
    const resolved = parseEnqueueOptions(options);
    resolved.signal?.throwIfAborted();
    const schema = this.#options.tuning.topics.get(topic)?.schema;
    const submission = this.#submission(topic, payload, resolved, { carrier });
    const { signal } = resolved;
    if (schema === undefined) return this.#submit(submission, signal);
    const payloads = [submission.payload];
    return this.#validation.run({ topic, schema, payloads, signal }, () =>
      this.#submit(submission, signal),
    );
  }

  async enqueueMany(
    topic: string,
    jobs: readonly NewJob[],
    options?: EnqueueManyOptions,
  ): Promise<Accepted[]> {
    const { tracing } = this.#options.tuning;
    if (tracing === undefined || !Array.isArray(jobs)) {
      return this.#enqueueMany(topic, jobs, options);
    }
    return tracing.enqueue(topic, jobs.length, (carrier) =>
      this.#enqueueMany(topic, jobs, options, carrier),
    );
  }

  async #enqueueMany(
    topic: string,
    jobs: readonly NewJob[],
    options: EnqueueManyOptions | undefined,
    carrier?: TraceCarrier,
  ): Promise<Accepted[]> {
    if (this.#closed !== undefined) throw new QueueClosedError('enqueueMany');
    const resolved = parseEnqueueManyOptions(options);
    const { signal } = resolved;
    signal?.throwIfAborted();
    const schema = this.#options.tuning.topics.get(topic)?.schema;
    const submissions = parseNewJobs(jobs).map(({ payload, options: own }, index) =>
      this.#submission(topic, payload, own, { index, carrier }),
    );
    const submit = (): Promise<Accepted[]> => this.#submitAll(submissions, resolved);
    if (schema === undefined) return submit();
    const payloads = submissions.map(({ payload }) => payload);
    return this.#validation.run({ topic, schema, payloads, signal }, submit);
  }

  process<Transaction>(
    topic: string,
    handler: Handler<Transaction>,
    options: ProcessOptions & { ledger: IdempotencyLedger<Transaction> },
  ): Consumer;
  process(topic: string, handler: Handler, options?: ProcessOptions): Consumer;
  process<Transaction>(
    topic: string,
    handler: Handler | Handler<Transaction>,
    options?: ProcessOptions & { ledger?: IdempotencyLedger<Transaction> },
  ): Consumer {
    if (this.#closed !== undefined) throw new QueueClosedError('process');
    checkTopic('process', topic);
    checkHandler(handler);
    const { name = randomUUID(), ...resolved } = parseProcessOptions(options);
    const { limits, leaseMs } = resolved;
    const { clock, random } = this.#options.tuning;
    const key = `${topic}\n${name}`;
    if (this.#consumers.has(key)) throw new DuplicateConsumerError(topic, name);
    const { outcomes, observe } = outcomesOf(this.#backend, this.#options.tuning, topic, resolved);
    const { memory, release } = useJobMemory(this.#backend, topic, resolved.maxRememberedJobs);
    const subscribe = (): Subscription =>
      reportingRoom(
        this.#backend.subscribe(topic, leaseMs, (failure) => consumer.connectionFailed(failure)),
        () => this.#opening.backpressure?.freed(topic),
      );
    const consumer = new TopicConsumer({
      topic,
      memory,
      schema: this.#options.tuning.topics.get(topic)?.schema,
      outcomes,
      executeJob: createJobExecutor(handler, options?.ledger, observe),
      options: resolved,
      clock,
      random,
      events: this.#events,
      subscription: droppingExpired(
        limitedBy(limits, this.#backend.limits, subscribe, { topic, leaseMs, clock, memory }),
        { topic, clock, memory, events: this.#events, expired: this.#expired },
      ),
      onClosed: () => {
        this.#consumers.delete(key);
        release();
      },
    });
    this.#consumers.set(key, consumer);
    return consumer;
  }

  result(topic: string, id: string, options?: ResultWaitOptions): Promise<unknown> {
    return this.#results.result(topic, id, options);
  }

  progress(topic: string, id: string): Promise<unknown> {
    return this.#results.progress(topic, id);
  }

  async schedule(...schedule: Parameters<Queue['schedule']>): Promise<void> {
    this.#assertOpen('schedule');
    return this.#schedules.schedule(...schedule);
  }

  async unschedule(name: string): Promise<Unscheduled> {
    this.#assertOpen('unschedule');
    return this.#schedules.unschedule(name);
  }

  schedules(): ScheduleInfo[] {
    return this.#schedules.list();
  }

  getStats(): QueueStats {
    return statsOf({
      state: this.state,
      current: this.current,
      opening: this.#opening,
      consumers: this.#consumers.values(),
      expired: this.#expired.count,
    });
  }

  deadLetters(topic: string): DeadLetters {
    return deadLettersOf(this.#backend, checkTopic('deadLetters', topic), this.#assertOpen);
  }

  inspect(topic: string): Inspection {
    return inspectionOf(this.#backend, checkTopic('inspect', topic), this.#assertOpen);
  }

  poisonJobs(topic: string): DeadLetters {
    return poisonJobsOf(checkTopic('poisonJobs', topic), async () => {
      const { poison, backpressure } = await this.#opening.whenOpened();
      return { poison, submit: (submission) => backpressure.submit(submission, undefined) };
    });
  }

  health(): QueueHealth {
    const drainEtaMs = this.#opening.opened?.producer.state.drainEtaMs;
    return healthOf(this.getStats(), this.#options.tuning, drainEtaMs);
  }

  close(options?: { deadlineMs?: number }): Promise<void> {
    try {
      const deadlineMs = parseCloseDeadlineMs(options);
      return (this.#closed ??= this.#close(deadlineMs));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #assertOpen = (tried: string): void => {
    if (this.#closed !== undefined) throw new QueueClosedError(tried);
  };

  /** Submits the job; while the journal is being opened, after it is open. */
  #submit(submission: Submission, signal: AbortSignal | undefined): Promise<Accepted> {
    return this.#opening.submit([submission], signal, (backpressure) =>
      backpressure.submit(submission, signal),
    );
  }

  #submitAll(
    submissions: readonly Submission[],
    options: ResolvedEnqueueManyOptions,
  ): Promise<Accepted[]> {
    return this.#opening.submit(submissions, options.signal, (backpressure) =>
      backpressure.submitAll(submissions, options),
    );
  }

  /** Unique across all queues, and much cheaper than a UUID. */
  #newId(): string {
    this.#lastId += 1;
    return `${this.#idPrefix}-${this.#lastId}`;
  }

  get #fallback(): Exclude<Acceptor, 'redis'> {
    return this.#options.fallback === 'memory' ? 'memory' : 'journal';
  }

  async #close(deadlineMs: number): Promise<void> {
    const { clock } = this.#options.tuning;
    const giveUp = new AbortController();
    // Holds the process: whoever waits for the end of `close` has to see it.
    const deadline = clock.schedule(deadlineMs, () => giveUp.abort());
    // In this turn: no handler starts any more.
    const consumers = [...this.#consumers.values()].map((one) => one.close({ deadlineMs }));
    const scheduled = this.#schedules.close();
    const [opened] = await Promise.all([
      this.#opening.close(giveUp.signal),
      scheduled,
      ...consumers,
    ]);
    await this.#results.close();
    const mustDrain = this.#fallback === 'memory';
    await opened?.producer.settle(mustDrain, giveUp.signal).catch(() => undefined);
    deadline.cancel();
    const left = opened?.backlog.size ?? 0;
    await Promise.all([opened?.producer.close(), this.#backend.close()]);
    await Promise.all([opened?.backlog.close(), opened?.poison.close()]);
    if (mustDrain && left > 0) throw new UndrainedJobsError(left, deadlineMs);
  }
}
