import { type Journal, createMemoryJournal, openJournal } from '@holdfast/journal';
import { type Announcer, createAnnouncer, nextEvent } from '@holdfast/resilience';
import type { QueueBackend } from './backend.ts';
import { TopicConsumer } from './consumer.ts';
import { Dispatcher } from './dispatcher.ts';
import { QueueClosedError, UndrainedJobsError } from './errors.ts';
import {
  type QueueOptions,
  type SettledQueueOptions,
  readCloseDeadlineMs,
  readEnqueueOptions,
  readProcessOptions,
  readQueueOptions,
} from './options.ts';
import { checkJobId, checkTopic, serialisePayload } from './payload.ts';
import type {
  Accepted,
  Acceptor,
  Consumer,
  EnqueueOptions,
  Handler,
  ProcessOptions,
  Queue,
  QueueEvents,
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

/** The queue over any backend. */
export class QueueAdapter implements Queue {
  readonly #backend: QueueBackend;
  readonly #options: SettledQueueOptions;
  readonly #announcer: Announcer<QueueEvents> = createAnnouncer('holdfast:queue');
  readonly #opening: Promise<{ journal: Journal; dispatcher: Dispatcher }>;
  readonly #consumers = new Set<Consumer>();
  readonly #link = { up: false, failedAttempts: 0, connects: 0 };
  #opened: { journal: Journal; dispatcher: Dispatcher } | undefined;
  #closed: Promise<void> | undefined;
  readonly on: Queue['on'] = this.#announcer.on;

  constructor(backend: QueueBackend, options: SettledQueueOptions) {
    this.#backend = backend;
    this.#options = options;
    this.#opening = this.#open();
    // A failure to open is told to whoever enqueues, processes or asks; nobody may have yet.
    this.#opening.catch(() => undefined);
  }

  get current(): Acceptor {
    return this.state === 'direct' ? 'redis' : this.#fallback;
  }

  get state(): Queue['state'] {
    if (this.#closed !== undefined) return 'closed';
    return this.#opened?.dispatcher.standing.at ?? 'opening';
  }

  async ready(): Promise<void> {
    const { dispatcher } = await this.#opening;
    if (dispatcher.standing.at === 'opening') await nextEvent(this, 'state');
  }

  async enqueue(topic: string, payload: unknown, options?: EnqueueOptions): Promise<Accepted> {
    if (this.#closed !== undefined) throw new QueueClosedError('enqueue');
    const { jobId, signal } = readEnqueueOptions(options);
    signal?.throwIfAborted();
    const { clock, maxPayloadBytes } = this.#options.tuning;
    const submission = {
      topic: checkTopic('enqueue', topic),
      payload: serialisePayload(topic, payload, maxPayloadBytes),
      id: jobId === undefined ? crypto.randomUUID() : checkJobId('enqueue', jobId),
      unique: jobId !== undefined,
      enqueuedAtMs: Math.round(clock.epochMs()),
    };
    const { dispatcher } = await this.#opening;
    return dispatcher.submit(submission, signal);
  }

  process(topic: string, handler: Handler, options?: ProcessOptions): Consumer {
    if (this.#closed !== undefined) throw new QueueClosedError('process');
    checkTopic('process', topic);
    const tuning = readProcessOptions(options);
    const { clock, random } = this.#options.tuning;
    const consumer: Consumer = new TopicConsumer({
      topic,
      handler,
      tuning,
      clock,
      random,
      announcer: this.#announcer,
      subscription: this.#backend.subscribe(topic, tuning.leaseMs),
      onClosed: () => this.#consumers.delete(consumer),
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  getStats(): QueueStats {
    const { dispatcher, journal } = this.#opened ?? {};
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
      pending: 0,
      ...dispatcher?.counts,
      backlog: {
        jobs: journal === undefined ? 0 : journal.next - journal.first,
        bytes: journal?.getStats().bytes ?? 0,
        ...(age !== undefined && { oldestAgeMs: age }),
      },
      forgot: { times: 0, jobs: 0, resent: 0, ...dispatcher?.forgot },
      link: { ...this.#link },
    };
  }

  close(options?: { deadlineMs?: number }): Promise<void> {
    this.#closed ??= this.#close(readCloseDeadlineMs(options));
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #fallback(): Exclude<Acceptor, 'redis'> {
    return this.#options.fallback === 'memory' ? 'memory' : 'journal';
  }

  async #open(): Promise<{ journal: Journal; dispatcher: Dispatcher }> {
    const { fallback, tuning } = this.#options;
    const bounds = {
      maxRecords: tuning.maxBacklogJobs,
      maxBytes: tuning.maxBacklogBytes,
    };
    const journal =
      fallback === 'memory'
        ? createMemoryJournal(bounds)
        : await openJournal({ ...fallback.journal, ...bounds, clock: tuning.clock });
    const dispatcher = new Dispatcher({
      ...tuning,
      backend: this.#backend,
      announcer: this.#announcer,
      fallback: this.#fallback,
      journal,
    });
    await dispatcher.open();
    this.#opened = { journal, dispatcher };
    this.#openLink(dispatcher);
    return this.#opened;
  }

  #openLink(dispatcher: Dispatcher): void {
    const { clock } = this.#options.tuning;
    this.#backend.open({
      connected: ({ attempt }) => {
        this.#link.up = true;
        this.#link.connects += 1;
        this.#announcer.announce('connected', { attempt, atMs: clock.now() });
        dispatcher.linkUp();
      },
      attemptFailed: ({ attempt, delayMs, error }) => {
        this.#link.failedAttempts += 1;
        const { errorClass, message } = error;
        const atMs = clock.now();
        this.#announcer.announce('reconnecting', {
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
        this.#announcer.announce('disconnected', { errorClass, error: message, atMs: clock.now() });
        dispatcher.linkFailed(error);
      },
    });
  }

  async #close(deadlineMs: number): Promise<void> {
    const { clock } = this.#options.tuning;
    const opened = await this.#opening.catch(() => undefined);
    const giveUp = new AbortController();
    const deadline = clock.schedule(deadlineMs, () => giveUp.abort(), { holdsProcess: false });
    await Promise.all([...this.#consumers].map((consumer) => consumer.close({ deadlineMs })));
    const mustDrain = this.#fallback === 'memory';
    await opened?.dispatcher.settle(mustDrain, giveUp.signal).catch(() => undefined);
    deadline.cancel();
    const left = opened === undefined ? 0 : opened.journal.next - opened.journal.first;
    await Promise.all([opened?.dispatcher.close(), this.#backend.close()]);
    await opened?.journal.close();
    if (mustDrain && left > 0) throw new UndrainedJobsError(left, deadlineMs);
  }
}
