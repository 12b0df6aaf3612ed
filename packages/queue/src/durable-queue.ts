import { randomBytes, randomUUID } from 'node:crypto';
import { type Emitter, createEmitter, nextEvent } from '@holdfast/foundation';
import { Backlog } from './fallback/backlog.ts';
import type { QueueBackend } from './backend.ts';
import { TopicConsumer } from './consumer/consumer.ts';
import { deadLettersOf, poisonJobsOf } from './admin/dead-letters.ts';
import { Producer } from './producer/producer.ts';
import { type JournalFactory, diskJournals, openFallback } from './fallback/open-fallback.ts';
import { Backpressure } from './producer/backpressure.ts';
import {
  DuplicateConsumerError,
  QueueClosedError,
  ServerUnsupportedError,
  UndrainedJobsError,
} from './errors.ts';
import { healthOf } from './admin/health.ts';
import { inspectionOf } from './admin/inspection.ts';
import {
  type ResolvedEnqueueOptions,
  type ResolvedQueueOptions,
  checkHandler,
  parseCloseDeadlineMs,
  parseEnqueueOptions,
  parseNewJobs,
  parseProcessOptions,
} from './options.ts';
import type { Submission } from './producer/pending-job.ts';
import { validatePayload } from './producer/schema.ts';
import { checkJobId, checkTopic, serializePayload } from './producer/payload.ts';
import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import { createJobExecutor } from './consumer/handler.ts';
import { routingOf } from './scheduling.ts';
import { PoisonStore } from './fallback/poison-store.ts';
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
  readonly gate: Backpressure;
}

/** The queue over any backend. */
export class DurableQueue implements Queue {
  readonly #backend: QueueBackend;
  readonly #options: ResolvedQueueOptions;
  readonly #journals: JournalFactory;
  readonly #announcer: Emitter<QueueEvents> = createEmitter('holdfast:queue');
  readonly #opening: Promise<Opened>;
  /** By topic and name. */
  readonly #consumers = new Map<string, Consumer>();
  readonly #link = { up: false, failedAttempts: 0, connects: 0 };
  /** What the ids of this queue's jobs begin with; as no other queue's do. */
  readonly #idPrefix = randomBytes(12).toString('base64url');
  #lastId = 0;
  #opened: Opened | undefined;
  /** Open for those who need not wait for the journal any more. */
  #gate: Backpressure | undefined;
  #closed: Promise<void> | undefined;
  readonly on: Queue['on'] = this.#announcer.on;

  constructor(
    backend: QueueBackend,
    options: ResolvedQueueOptions,
    journals: JournalFactory = diskJournals,
  ) {
    this.#backend = backend;
    this.#journals = journals;
    this.#options = options;
    this.#opening = this.#open();
    // The first to hear of it, so that who enqueues from then on comes behind those who waited for it. A
    // failure to open is told to whoever enqueues, processes or asks; nobody may have yet.
    this.#opening.then(
      ({ gate }) => {
        this.#gate = gate;
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
    return this.#opened?.producer.machine.state ?? 'opening';
  }

  async ready(): Promise<void> {
    const { producer } = await this.#opening;
    const { machine } = producer;
    if (machine.state === 'opening') await nextEvent(this, 'state');
    const { failure } = machine;
    if (failure?.errorClass === 'unsupported') throw new ServerUnsupportedError('ready', failure);
  }

  enqueue(topic: string, payload: unknown, options?: EnqueueOptions): Promise<Accepted> {
    // Not `async`, and neither is what it calls: the job's own promise is the only one there is.
    try {
      return this.#enqueue(topic, payload, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #enqueue(topic: string, payload: unknown, options?: EnqueueOptions): Promise<Accepted> {
    if (this.#closed !== undefined) throw new QueueClosedError('enqueue');
    const settled = parseEnqueueOptions(options);
    settled.signal?.throwIfAborted();
    const schema = this.#options.tuning.topics.get(topic)?.schema;
    if (schema === undefined) {
      return this.#submit(this.#submission(topic, payload, settled), settled.signal);
    }
    return validatePayload(topic, schema, payload).then((fitting) =>
      this.#submit(this.#submission(topic, fitting, settled), settled.signal),
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
      const fitting =
        schema === undefined ? payload : await validatePayload(topic, schema, payload);
      submissions.push(this.#submission(topic, fitting, own));
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
    const { name = randomUUID(), tuning } = parseProcessOptions(options);
    const { clock, random } = this.#options.tuning;
    const slot = `${topic}\n${name}`;
    if (this.#consumers.has(slot)) throw new DuplicateConsumerError(topic, name);
    const consumer = new TopicConsumer({
      topic,
      perform: createJobExecutor(handler, options?.ledger),
      tuning,
      clock,
      random,
      announcer: this.#announcer,
      subscription: this.#backend.subscribe(topic, tuning.leaseMs),
      onClosed: () => this.#consumers.delete(slot),
    });
    this.#consumers.set(slot, consumer);
    return consumer;
  }

  getStats(): QueueStats {
    const { producer, backlog, poison } = this.#opened ?? {};
    const failure = producer?.machine.failure;
    const age = producer?.oldestAgeMs;
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
      ...producer?.counts,
      backlog: {
        jobs: backlog?.size ?? 0,
        bytes: backlog?.bytes ?? 0,
        ...(age !== undefined && { oldestAgeMs: age }),
      },
      dataLoss: { times: 0, jobs: 0, resent: 0, ...producer?.forgot },
      connection: { ...this.#link },
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
      const { poison, gate } = await this.#opening;
      return { poison, submit: (submission) => gate.submit(submission, undefined) };
    });
  }

  health(): QueueHealth {
    const { maxBacklogJobs, maxBacklogBytes } = this.#options.tuning;
    const limits = { maxBacklogJobs, maxBacklogBytes };
    return healthOf(this.getStats(), limits, this.#opened?.producer.drainEtaMs);
  }

  async close(options?: { deadlineMs?: number }): Promise<void> {
    const deadlineMs = parseCloseDeadlineMs(options);
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** To the gate; while the journal is being opened, in line before it. */
  #submit(submission: Submission, signal: AbortSignal | undefined): Promise<Accepted> {
    if (this.#gate !== undefined) return this.#gate.submit(submission, signal);
    return this.#opening.then(({ gate }) => gate.submit(submission, signal));
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
      id: jobId === undefined ? this.#freshId() : checkJobId('enqueue', jobId),
      unique: jobId !== undefined,
      enqueuedAtMs,
      dueAtMs: delayMs === 0 ? 0 : enqueuedAtMs + delayMs,
      ...(routing !== undefined && { routing }),
    };
  }

  /** Two of every queue there is differ, at a fraction of what a UUID costs. */
  #freshId(): string {
    this.#lastId += 1;
    return `${this.#idPrefix}-${this.#lastId}`;
  }

  get #fallback(): Exclude<Acceptor, 'redis'> {
    return this.#options.fallback === 'memory' ? 'memory' : 'journal';
  }

  async #open(): Promise<Opened> {
    const { fallback, tuning } = this.#options;
    const { journal, poison } = await openFallback(this.#options, this.#journals);
    // In memory it would be kept twice: the lanes retain what Redis has confirmed as well.
    const retainMs = fallback === 'memory' ? 0 : tuning.retainMs;
    const backlog = new Backlog({
      journal,
      clock: tuning.clock,
      retainMs,
      onShed: tuning.backpressure === 'shed-oldest' ? (jobs) => this.#tellShed(jobs) : undefined,
    });
    const producer = new Producer({
      ...tuning,
      backend: this.#backend,
      announcer: this.#announcer,
      fallback: this.#fallback,
      backlog,
      poison,
    });
    await producer.open();
    this.#opened = { backlog, producer, poison, gate: new Backpressure(producer, tuning) };
    this.#openLink(producer);
    return this.#opened;
  }

  #tellShed({ length: jobs }: readonly unknown[]): void {
    if (this.#opened !== undefined) this.#opened.producer.counts.shed += jobs;
    this.#announcer.emit('shed', { jobs, atMs: this.#options.tuning.clock.now() });
  }

  #openLink(producer: Producer): void {
    const { clock } = this.#options.tuning;
    this.#backend.open({
      connected: ({ attempt }) => {
        this.#link.up = true;
        this.#link.connects += 1;
        this.#announcer.emit('connected', { attempt, atMs: clock.now() });
        producer.linkUp();
      },
      attemptFailed: ({ attempt, delayMs, error }) => {
        this.#link.failedAttempts += 1;
        const { errorClass, message } = error;
        const atMs = clock.now();
        this.#announcer.emit('reconnecting', {
          attempt,
          delayMs,
          errorClass,
          error: message,
          atMs,
        });
        producer.linkFailed(error);
      },
      disconnected: ({ error }) => {
        this.#link.up = false;
        const { errorClass, message } = error;
        this.#announcer.emit('disconnected', { errorClass, error: message, atMs: clock.now() });
        producer.linkFailed(error);
      },
    });
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
