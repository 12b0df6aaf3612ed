import { randomBytes, randomUUID } from 'node:crypto';
import { type Emitter, createEmitter, nextEvent } from '@holdfast/foundation';
import { deadLettersOf, poisonJobsOf } from './admin/dead-letters.ts';
import { healthOf } from './admin/health.ts';
import { inspectionOf } from './admin/inspection.ts';
import type { ConnectionListener, QueueBackend } from './backend.ts';
import { TopicConsumer } from './consumer/consumer.ts';
import { createJobExecutor } from './consumer/job-execution.ts';
import {
  DuplicateConsumerError,
  QueueClosedError,
  ServerUnsupportedError,
  UndrainedJobsError,
} from './errors.ts';
import { Backlog } from './fallback/backlog.ts';
import { type JournalFactory, diskJournals, openFallback } from './fallback/open-fallback.ts';
import type { PoisonStore } from './fallback/poison-store.ts';
import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import {
  type ResolvedEnqueueOptions,
  type ResolvedQueueOptions,
  checkHandler,
  parseCloseDeadlineMs,
  parseEnqueueOptions,
  parseNewJobs,
  parseProcessOptions,
} from './options.ts';
import { Backpressure } from './producer/backpressure.ts';
import { checkJobId, checkTopic, serializePayload } from './producer/payload.ts';
import type { Submission } from './state/pending-job.ts';
import { Producer } from './producer/producer.ts';
import { routingOf } from './producer/scheduling.ts';
import { validatePayload } from './producer/schema.ts';
import type {
  Accepted,
  Acceptor,
  Consumer,
  DeadLetters,
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

interface Opened {
  readonly backlog: Backlog;
  readonly producer: Producer;
  readonly poison: PoisonStore;
  readonly backpressure: Backpressure;
}

/** The queue over any backend. */
export class DurableQueue implements Queue {
  readonly #backend: QueueBackend;
  readonly #options: ResolvedQueueOptions;
  readonly #journals: JournalFactory;
  readonly #events: Emitter<QueueEvents> = createEmitter('holdfast:queue');
  readonly #opening: Promise<Opened>;
  /** By topic and name. */
  readonly #consumers = new Map<string, Consumer>();
  readonly #connection = { up: false, failedAttempts: 0, connects: 0 };
  /** The prefix of the ids of this queue's jobs; unique to this queue. */
  readonly #idPrefix = randomBytes(12).toString('base64url');
  #lastId = 0;
  #opened: Opened | undefined;
  /** Set once the journal is open and earlier callers have submitted their jobs. */
  #backpressure: Backpressure | undefined;
  #closed: Promise<void> | undefined;
  readonly on: Queue['on'] = this.#events.on;

  constructor(
    backend: QueueBackend,
    options: ResolvedQueueOptions,
    journals: JournalFactory = diskJournals,
  ) {
    this.#backend = backend;
    this.#journals = journals;
    this.#options = options;
    this.#opening = this.#open();
    // Registered first: calls to `enqueue` from then on stay behind those that waited for the journal. A failure
    // to open rejects each later call to `enqueue`, `ready` and `poisonJobs`.
    this.#opening.then(
      ({ backpressure }) => {
        this.#backpressure = backpressure;
      },
      () => undefined,
    );
  }

  get current(): Acceptor {
    const isDirect = this.state === 'direct' && this.#options.tuning.acknowledge !== 'local';
    return isDirect ? this.#backend.kind : this.#fallback;
  }

  get state(): Queue['state'] {
    if (this.#closed !== undefined) return 'closed';
    return this.#opened?.producer.state.machine.state ?? 'opening';
  }

  async ready(): Promise<void> {
    const { producer } = await this.#opening;
    const { machine } = producer.state;
    if (machine.state === 'opening') await nextEvent(this, 'state');
    const { failure } = machine;
    if (failure?.errorClass === 'unsupported') throw new ServerUnsupportedError('ready', failure);
  }

  enqueue(topic: string, payload: unknown, options?: EnqueueOptions): Promise<Accepted> {
    // Not `async`, and nor are the functions it calls: only the job's own promise is allocated.
    try {
      return this.#enqueue(topic, payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #enqueue(topic: string, payload: unknown, options?: EnqueueOptions): Promise<Accepted> {
    if (this.#closed !== undefined) throw new QueueClosedError('enqueue');
    const resolved = parseEnqueueOptions(options);
    resolved.signal?.throwIfAborted();
    const schema = this.#options.tuning.topics.get(topic)?.schema;
    if (schema === undefined) {
      return this.#submit(this.#submission(topic, payload, resolved), resolved.signal);
    }
    return validatePayload(topic, schema, payload).then((valid) =>
      this.#submit(this.#submission(topic, valid, resolved), resolved.signal),
    );
  }

  async enqueueMany(
    topic: string,
    jobs: readonly NewJob[],
    options?: { signal?: AbortSignal },
  ): Promise<Accepted[]> {
    if (this.#closed !== undefined) throw new QueueClosedError('enqueueMany');
    const { signal } = parseEnqueueOptions(options);
    signal?.throwIfAborted();
    const schema = this.#options.tuning.topics.get(topic)?.schema;
    const submissions: Submission[] = [];
    for (const { payload, options: own } of parseNewJobs(jobs)) {
      const valid = schema === undefined ? payload : await validatePayload(topic, schema, payload);
      submissions.push(this.#submission(topic, valid, own));
    }
    return Promise.all(submissions.map((submission) => this.#submit(submission, signal)));
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
    const { clock, random } = this.#options.tuning;
    const key = `${topic}\n${name}`;
    if (this.#consumers.has(key)) throw new DuplicateConsumerError(topic, name);
    const consumer = new TopicConsumer({
      topic,
      executeJob: createJobExecutor(handler, options?.ledger),
      options: resolved,
      clock,
      random,
      events: this.#events,
      subscription: this.#backend.subscribe(topic, resolved.leaseMs),
      onClosed: () => this.#consumers.delete(key),
    });
    this.#consumers.set(key, consumer);
    return consumer;
  }

  getStats(): QueueStats {
    const { producer, backlog, poison } = this.#opened ?? {};
    const failure = producer?.state.machine.failure;
    const age = producer?.state.oldestAgeMs;
    return {
      state: this.state,
      current: this.current,
      ...(failure && { errorClass: failure.errorClass, lastError: failure.message }),
      acceptedByRedis: 0,
      acceptedByFallback: 0,
      drained: 0,
      alreadyApplied: 0,
      poisoned: poison?.size ?? 0,
      pending: 0,
      shed: 0,
      ...producer?.state.counts,
      backlog: {
        jobs: backlog?.size ?? 0,
        bytes: backlog?.bytes ?? 0,
        ...(age !== undefined && { oldestAgeMs: age }),
      },
      dataLoss: { count: 0, jobs: 0, resent: 0, ...producer?.state.dataLoss },
      connection: { ...this.#connection },
    };
  }

  deadLetters(topic: string): DeadLetters {
    return deadLettersOf(this.#backend, checkTopic('deadLetters', topic));
  }

  inspect(topic: string): Inspection {
    return inspectionOf(this.#backend, checkTopic('inspect', topic));
  }

  poisonJobs(topic: string): DeadLetters {
    return poisonJobsOf(checkTopic('poisonJobs', topic), async () => {
      const { poison, backpressure } = await this.#opening;
      return { poison, submit: (submission) => backpressure.submit(submission, undefined) };
    });
  }

  health(): QueueHealth {
    const drainEtaMs = this.#opened?.producer.state.drainEtaMs;
    return healthOf(this.getStats(), this.#options.tuning, drainEtaMs);
  }

  async close(options?: { deadlineMs?: number }): Promise<void> {
    const deadlineMs = parseCloseDeadlineMs(options);
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Submits the job; while the journal is being opened, after it is open. */
  #submit(submission: Submission, signal: AbortSignal | undefined): Promise<Accepted> {
    if (this.#backpressure !== undefined) return this.#backpressure.submit(submission, signal);
    return this.#opening.then(({ backpressure }) => backpressure.submit(submission, signal));
  }

  #submission(
    topic: string,
    payload: unknown,
    { jobId, delayMs, ...routed }: ResolvedEnqueueOptions,
  ): Submission {
    const { clock, maxPayloadBytes, topics } = this.#options.tuning;
    const routing = routingOf(topic, routed, topics.get(topic)?.partitions);
    const enqueuedAtMs = Math.round(clock.epochMs());
    return {
      topic: checkTopic('enqueue', topic),
      payload: serializePayload(topic, payload, maxPayloadBytes),
      id: jobId === undefined ? this.#newId() : checkJobId('enqueue', jobId),
      unique: jobId !== undefined,
      enqueuedAtMs,
      dueAtMs: delayMs === 0 ? 0 : enqueuedAtMs + delayMs,
      ...(routing !== undefined && { routing }),
    };
  }

  /** Unique across all queues, and much cheaper than a UUID. */
  #newId(): string {
    this.#lastId += 1;
    return `${this.#idPrefix}-${this.#lastId}`;
  }

  get #fallback(): Exclude<Acceptor, 'redis'> {
    return this.#options.fallback === 'memory' ? 'memory' : 'journal';
  }

  async #open(): Promise<Opened> {
    const { fallback, tuning } = this.#options;
    const { journal, poison } = await openFallback(this.#options, this.#journals);
    // A memory fallback retains nothing: the resend buffers hold the confirmed jobs in memory already.
    const retainMs = fallback === 'memory' ? 0 : tuning.retainMs;
    const backlog = new Backlog({
      journal,
      clock: tuning.clock,
      retainMs,
      onShed: tuning.backpressure === 'shed-oldest' ? (jobs) => this.#emitShed(jobs) : undefined,
    });
    const producer = new Producer({
      ...tuning,
      backend: this.#backend,
      events: this.#events,
      fallback: this.#fallback,
      backlog,
      poison,
    });
    await producer.open();
    this.#opened = { backlog, producer, poison, backpressure: new Backpressure(producer, tuning) };
    this.#backend.open(this.#connectionListener(producer));
    return this.#opened;
  }

  #emitShed({ length: jobs }: readonly unknown[]): void {
    if (this.#opened !== undefined) this.#opened.producer.state.counts.shed += jobs;
    this.#events.emit('shed', { jobs, atMs: this.#options.tuning.clock.now() });
  }

  #connectionListener({ monitor }: Producer): ConnectionListener {
    const { clock } = this.#options.tuning;
    return {
      connected: ({ attempt }) => {
        this.#connection.up = true;
        this.#connection.connects += 1;
        this.#events.emit('connected', { attempt, atMs: clock.now() });
        monitor.connected();
      },
      attemptFailed: ({ attempt, delayMs, error }) => {
        this.#connection.failedAttempts += 1;
        const { errorClass, message } = error;
        const seen = { errorClass, error: message, atMs: clock.now() };
        this.#events.emit('reconnecting', { attempt, delayMs, ...seen });
        monitor.failed(error);
      },
      disconnected: ({ error }) => {
        this.#connection.up = false;
        const { errorClass, message } = error;
        this.#events.emit('disconnected', { errorClass, error: message, atMs: clock.now() });
        monitor.failed(error);
      },
    };
  }

  async #close(deadlineMs: number): Promise<void> {
    const { clock } = this.#options.tuning;
    const opened = await this.#opening.catch(() => undefined);
    const giveUp = new AbortController();
    const deadline = clock.schedule(deadlineMs, () => giveUp.abort(), { holdsProcess: false });
    await Promise.all(
      [...this.#consumers.values()].map((consumer) => consumer.close({ deadlineMs })),
    );
    const mustDrain = this.#fallback === 'memory';
    await opened?.producer.settle(mustDrain, giveUp.signal).catch(() => undefined);
    deadline.cancel();
    const left = opened?.backlog.size ?? 0;
    await Promise.all([opened?.producer.close(), this.#backend.close()]);
    await Promise.all([opened?.backlog.close(), opened?.poison.close()]);
    if (mustDrain && left > 0) throw new UndrainedJobsError(left, deadlineMs);
  }
}
