import { randomBytes, randomUUID } from 'node:crypto';
import { type Emitter, createEmitter, nextEvent } from '@holdfast/foundation';
import { Backlog } from './backlog.ts';
import type { QueueBackend } from './backend.ts';
import { TopicConsumer } from './consumer.ts';
import { deadLettersOf, poisonJobsOf } from './dead-letters.ts';
import { Dispatcher } from './dispatcher.ts';
import { type Journals, diskJournals, openFallback } from './fallback.ts';
import { Gate } from './gate.ts';
import {
  DuplicateConsumerError,
  QueueClosedError,
  ServerUnsupportedError,
  UndrainedJobsError,
} from './errors.ts';
import { healthOf } from './health.ts';
import { inspectionOf } from './inspection.ts';
import {
  type QueueOptions,
  type SettledEnqueueOptions,
  type SettledQueueOptions,
  checkHandler,
  readCloseDeadlineMs,
  readEnqueueOptions,
  readNewJobs,
  readProcessOptions,
  readQueueOptions,
} from './options.ts';
import type { Submission } from './pending-job.ts';
import { conform } from './schema.ts';
import { checkJobId, checkTopic, serialisePayload } from './payload.ts';
import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import { performer } from './perform.ts';
import { placeOf } from './place.ts';
import { PoisonStore } from './poison-store.ts';
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
import { createRedisBackend } from './redis/backend.ts';

/**
 * A queue on Redis that goes on accepting jobs while Redis is away.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function createQueueAdapter(options: QueueOptions): Queue {
  return new QueueAdapter(createRedisBackend(options), readQueueOptions(options));
}

/**
 * The same queue on another store than Redis, such as `createMemoryBackend()`; it closes the store with itself.
 * @throws InvalidOptionError naming field, value and permitted range.
 */
export function createQueueOn(
  backend: QueueBackend,
  options: Omit<QueueOptions, 'redis'> = {},
): Queue {
  // The way to Redis is read all the same, so that one set of rules holds for all other options.
  return new QueueAdapter(
    backend,
    readQueueOptions({ ...options, redis: { url: 'redis://unused' } }),
  );
}

interface Opened {
  readonly backlog: Backlog;
  readonly dispatcher: Dispatcher;
  readonly poison: PoisonStore;
  readonly gate: Gate;
}

/** The queue over any backend. */
export class QueueAdapter implements Queue {
  readonly #backend: QueueBackend;
  readonly #options: SettledQueueOptions;
  readonly #journals: Journals;
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
  #gate: Gate | undefined;
  #closed: Promise<void> | undefined;
  readonly on: Queue['on'] = this.#announcer.on;

  constructor(
    backend: QueueBackend,
    options: SettledQueueOptions,
    journals: Journals = diskJournals,
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
    return this.#opened?.dispatcher.standing.at ?? 'opening';
  }

  async ready(): Promise<void> {
    const { dispatcher } = await this.#opening;
    const { standing } = dispatcher;
    if (standing.at === 'opening') await nextEvent(this, 'state');
    const { failure } = standing;
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
    const settled = readEnqueueOptions(options);
    settled.signal?.throwIfAborted();
    const schema = this.#options.tuning.topics.get(topic)?.schema;
    if (schema === undefined) {
      return this.#submit(this.#submission(topic, payload, settled), settled.signal);
    }
    return conform(topic, schema, payload).then((fitting) =>
      this.#submit(this.#submission(topic, fitting, settled), settled.signal),
    );
  }

  async enqueueMany(
    topic: string,
    jobs: readonly NewJob[],
    options?: { signal?: AbortSignal },
  ): Promise<Accepted[]> {
    if (this.#closed !== undefined) throw new QueueClosedError('enqueueMany');
    const { signal } = readEnqueueOptions(options);
    signal?.throwIfAborted();
    const schema = this.#options.tuning.topics.get(topic)?.schema;
    const submissions: Submission[] = [];
    for (const { payload, options: own } of readNewJobs(jobs)) {
      const fitting = schema === undefined ? payload : await conform(topic, schema, payload);
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
    const { name = randomUUID(), tuning } = readProcessOptions(options);
    const { clock, random } = this.#options.tuning;
    const slot = `${topic}\n${name}`;
    if (this.#consumers.has(slot)) throw new DuplicateConsumerError(topic, name);
    const consumer = new TopicConsumer({
      topic,
      perform: performer(handler, options?.ledger),
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
    const { dispatcher, backlog, poison } = this.#opened ?? {};
    const failure = dispatcher?.standing.failure;
    const age = dispatcher?.oldestAgeMs;
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
      ...dispatcher?.counts,
      backlog: {
        jobs: backlog?.size ?? 0,
        bytes: backlog?.bytes ?? 0,
        ...(age !== undefined && { oldestAgeMs: age }),
      },
      forgot: { times: 0, jobs: 0, resent: 0, ...dispatcher?.forgot },
      link: { ...this.#link },
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
    return healthOf(this.getStats(), limits, this.#opened?.dispatcher.drainEtaMs);
  }

  async close(options?: { deadlineMs?: number }): Promise<void> {
    const deadlineMs = readCloseDeadlineMs(options);
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
    { jobId, delayMs, ...placing }: SettledEnqueueOptions,
  ): Submission {
    const { clock, maxPayloadBytes, topics } = this.#options.tuning;
    const place = placeOf(topic, placing, topics.get(topic)?.partitions);
    const enqueuedAtMs = Math.round(clock.epochMs());
    return {
      topic: checkTopic('enqueue', topic),
      payload: serialisePayload(topic, payload, maxPayloadBytes),
      id: jobId === undefined ? this.#freshId() : checkJobId('enqueue', jobId),
      unique: jobId !== undefined,
      enqueuedAtMs,
      dueAtMs: delayMs === 0 ? 0 : enqueuedAtMs + delayMs,
      ...(place !== undefined && { place }),
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
    const dispatcher = new Dispatcher({
      ...tuning,
      backend: this.#backend,
      announcer: this.#announcer,
      fallback: this.#fallback,
      backlog,
      poison,
    });
    await dispatcher.open();
    this.#opened = { backlog, dispatcher, poison, gate: new Gate(dispatcher, tuning) };
    this.#openLink(dispatcher);
    return this.#opened;
  }

  #tellShed({ length: jobs }: readonly unknown[]): void {
    if (this.#opened !== undefined) this.#opened.dispatcher.counts.shed += jobs;
    this.#announcer.emit('shed', { jobs, atMs: this.#options.tuning.clock.now() });
  }

  #openLink(dispatcher: Dispatcher): void {
    const { clock } = this.#options.tuning;
    this.#backend.open({
      connected: ({ attempt }) => {
        this.#link.up = true;
        this.#link.connects += 1;
        this.#announcer.emit('connected', { attempt, atMs: clock.now() });
        dispatcher.linkUp();
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
        dispatcher.linkFailed(error);
      },
      disconnected: ({ error }) => {
        this.#link.up = false;
        const { errorClass, message } = error;
        this.#announcer.emit('disconnected', { errorClass, error: message, atMs: clock.now() });
        dispatcher.linkFailed(error);
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
    await opened?.dispatcher.settle(mustDrain, giveUp.signal).catch(() => undefined);
    deadline.cancel();
    const left = opened?.backlog.size ?? 0;
    await Promise.all([opened?.dispatcher.close(), this.#backend.close()]);
    await Promise.all([opened?.backlog.close(), opened?.poison.close()]);
    if (mustDrain && left > 0) throw new UndrainedJobsError(left, deadlineMs);
  }
}
