import type { Subscribe } from '@holdfast/foundation';
import type { ErrorClass, PeekedKind, TopicCounts } from './backend.ts';
import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import type { Priority } from './producer/scheduling.ts';
import type { QueueState } from './state/queue-state.ts';

/**
 * A job queue that accepts through a Redis outage.
 *
 * What it promises, per producer:
 * - **Loss**: an accepted job is in Redis or in the journal before `enqueue` resolves, and stays in one of
 *   them until a handler is done with it. What Redis itself forgets (a crash without persistence) is sent
 *   again as far as it is retained, and reported as the `forgot` event, never hidden.
 * - **Duplicates**: each `enqueue` is applied to Redis at most once, whatever was resent. A handler may run
 *   again when its process dies before the job was acknowledged.
 * - **Order**: the jobs of one topic reach Redis in the order of their `enqueue` calls, also through a
 *   switch to the journal and back. With `concurrency: 1` they are handled in that order; those of one `key`
 *   always are, and those of another `priority` by urgency.
 */
export interface Queue {
  /** Where a job is accepted at this moment. */
  readonly current: Acceptor;
  /** Where the queue stands; see `state.ts` for the drawing. */
  readonly state: QueueState['kind'];
  /** Listens to what happens; the same events are published on `node:diagnostics_channel`. */
  readonly on: Subscribe<QueueEvents>;
  /**
   * Resolves once the journal is open and the first attempt to reach Redis has ended either way.
   * Calling it is optional; `enqueue` waits for the same moment.
   * @throws the journal's own errors, such as `JournalLockedError` when another process owns it;
   *   ServerUnsupportedError when Redis is too old.
   */
  ready(): Promise<void>;
  /**
   * Accepts a job, durably, in Redis or in the fallback.
   * @param topic 1 to 200 characters, no control characters, no braces.
   * @param payload anything JSON can hold without loss.
   * @throws InvalidOptionError for a bad topic, option or payload; SchemaViolationError;
   *   PayloadTooLargeError; QueueFullError; PoisonJobError;
   *   QueueClosedError; ServerUnsupportedError; the signal's own reason. Nothing was half-written then.
   */
  enqueue(topic: string, payload: unknown, options?: EnqueueOptions): Promise<Accepted>;
  /**
   * Accepts several jobs of one topic, in this order; each as by `enqueue`. All of them are checked before
   * the first is sent: one that cannot be a job refuses all.
   * @throws what `enqueue` throws, for the first job that was refused; others may have been accepted.
   */
  enqueueMany(
    topic: string,
    jobs: readonly NewJob[],
    options?: { signal?: AbortSignal },
  ): Promise<Accepted[]>;
  /**
   * Starts handling the jobs of a topic, until the returned consumer or the queue is closed. Each job's
   * effect is entered in the ledger, and the handler is given the ledger's transaction.
   * @throws InvalidOptionError, QueueClosedError, DuplicateConsumerError
   */
  process<Transaction>(
    topic: string,
    handler: Handler<Transaction>,
    options: ProcessOptions & { ledger: IdempotencyLedger<Transaction> },
  ): Consumer;
  /** As above, without a ledger. */
  process(topic: string, handler: Handler, options?: ProcessOptions): Consumer;
  getStats(): QueueStats;
  /** The jobs of a topic that failed for good, and the way back for them. */
  deadLetters(topic: string): DeadLetters;
  /** Looks at a topic in Redis without taking anything from it. */
  inspect(topic: string): Inspection;
  /**
   * The jobs of a topic that Redis refused for what they are after the fallback had accepted them, and the way
   * back for them. They are in the fallback, so they can be listed while Redis is away.
   */
  poisonJobs(topic: string): DeadLetters;
  /** What somebody who watches the service has to know of the queue. */
  health(): QueueHealth;
  /**
   * Ends consumers and links after what is under way has settled, for at most `deadlineMs`. Jobs in the
   * journal stay there for the next owner of its directory.
   * @throws UndrainedJobsError when a memory fallback still holds jobs that Redis did not take in time.
   */
  close(options?: { deadlineMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * What has to be true before `enqueue` resolves.
 * - `local`: the job is durable in the fallback; it goes to Redis right behind the answer.
 * - `redis`: Redis has it; while Redis is away, the fallback.
 * - `replicated`: `replicas` copies of that Redis have it as well; while they do not, the fallback.
 */
export type AcknowledgeLevel = 'local' | 'redis' | 'replicated';

/** Which store accepted, or would accept, a job. */
export type Acceptor = 'redis' | 'journal' | 'memory';

/** One job of `enqueueMany`. */
export interface NewJob {
  payload: unknown;
  jobId?: string;
  delayMs?: number;
  key?: string;
  priority?: Priority;
}

export interface EnqueueOptions {
  /** Not handed to a handler before so many milliseconds have passed, by Redis's clock. Default 0. */
  delayMs?: number;
  /**
   * The caller's own key for this job, 1 to 200 characters: of several jobs with one key only the first
   * is applied, for as long as `jobIdTtlMs` says. Default: a fresh id.
   */
  jobId?: string;
  /**
   * Jobs of one key are handled one after the other, in the order they were enqueued, by whichever consumer;
   * 1 to 200 characters. Needs `topics.<name>.partitions`.
   */
  key?: string;
  /**
   * More urgent jobs are handled first: of ten taken while all levels wait, seven are `high`, two `normal`
   * and one `low`. Within a level the order is that of `enqueue`. Not together with `key`. Default `normal`.
   */
  priority?: Priority;
  /** Gives up waiting; the job may still have been accepted if it was on its way already. */
  signal?: AbortSignal;
}

export interface Accepted {
  /** The job's id: the caller's `jobId`, or the fresh one. */
  readonly id: string;
  readonly accepted: Acceptor;
  /** Redis knew this `jobId` already, so nothing was added. Only known when Redis accepted. */
  readonly duplicate?: true;
}

/** A job as its handler sees it. */
export interface Job {
  readonly id: string;
  readonly topic: string;
  readonly payload: unknown;
  /** 1 for the first time; higher after a failed handler or a consumer that died. */
  readonly attempt: number;
  /** When it was enqueued, in milliseconds since the Unix epoch by the producer's wall clock. */
  readonly enqueuedAtMs: number;
  /** Why it was a dead letter before, the oldest reason first; absent where it never was. */
  readonly history?: readonly string[];
}

/** The signal is aborted when the lease is lost or the consumer's closing deadline has passed. */
export type Handler<Transaction = undefined> = (
  job: Job,
  context: { signal: AbortSignal; transaction: Transaction },
) => Promise<void> | void;

export interface ProcessOptions {
  /** Tells consumers of one topic and queue apart; no two may have the same. Default: a fresh one. */
  name?: string;
  /** How many jobs are begun per second at most; default as many as there are. */
  maxPerSecond?: number;
  /**
   * How many jobs are handled at once. Where handlers are quick, at most as many more are taken ahead and wait
   * for their turn. Default 10.
   */
  concurrency?: number;
  /** After so many failed attempts a job goes to the topic's dead letters. Default 3. */
  maxAttempts?: number;
  /**
   * What becomes of a job whose attempts are used up: it goes to the dead letters and those behind it go on, or
   * it is tried for ever, at most a minute apart, and holds up what has to come after it (its partition, or one
   * of the `concurrency`). Default `'dead-letter'`.
   */
  whenExhausted?: 'dead-letter' | 'block';
  /** Delay before the second attempt, growing twofold from there, in milliseconds. Default 1 000. */
  retryDelayMs?: number;
  /** How long a job belongs to a consumer that shows no sign of life, in milliseconds. Default 30 000. */
  leaseMs?: number;
  /**
   * How many handled jobs are remembered, so that a Redis that forgot their acknowledgement does not have
   * them run again. Default 10 000.
   */
  maxRememberedJobs?: number;
}

/** A job that failed for good. */
export interface DeadJob {
  readonly id: string;
  readonly payload: unknown;
  readonly enqueuedAtMs: number;
  readonly attempts: number;
  /** What its handler threw last. */
  readonly reason: string;
  /** Why it had failed before, where it was redriven since; the oldest first. */
  readonly history: readonly string[];
}

/** Those of `deadLetters` are in Redis, so both reject with BackendError while it is away. */
export interface DeadLetters {
  /** The oldest ones. @param options.limit default 100. */
  list(options?: { limit?: number }): Promise<DeadJob[]>;
  /**
   * Makes them jobs again, the oldest first: same ids, attempts from 1, their reasons in `job.history`.
   * @param options.ids only these; default all.
   * @param options.limit default 1 000.
   * @returns how many.
   */
  redrive(options?: { ids?: readonly string[]; limit?: number }): Promise<number>;
}

/** It is of Redis, so both reject with BackendError while it is away; `getStats()` says what the fallback holds. */
export interface Inspection {
  counts(): Promise<TopicCounts>;
  /**
   * Some jobs of one kind: `waiting`, `pending` (with a consumer) or `delayed`; the oldest first within each level
   * and partition. Dead ones are listed by `deadLetters`.
   * @param options.limit 1 to 1 000, default 20.
   */
  peek(kind: PeekedKind, options?: { limit?: number }): Promise<InspectedJob[]>;
}

export interface InspectedJob {
  readonly id: string;
  readonly payload: unknown;
  readonly enqueuedAtMs: number;
  /** How often it was handed out. */
  readonly attempts: number;
  readonly dueAtMs?: number;
  readonly priority?: Priority;
}

export interface Consumer {
  readonly topic: string;
  getStats(): ConsumerStats;
  /**
   * Takes no further jobs and waits for the running handlers, for at most `deadlineMs` (default 30 000);
   * then their signals are aborted and their jobs left to the next consumer.
   */
  close(options?: { deadlineMs?: number }): Promise<void>;
}

export interface ConsumerStats {
  readonly running: number;
  /** Handled, but the acknowledgement not yet confirmed by Redis. */
  readonly unconfirmed: number;
  readonly handled: number;
  readonly failed: number;
  readonly deadLettered: number;
  /** Jobs taken over from a consumer that died, or whose delivery was cut off. */
  readonly recovered: number;
  /** Handed out again although they were handled, as this process or the ledger knew; not run again. */
  readonly redelivered: number;
}

export interface QueueHealth {
  /**
   * `healthy`: jobs go to Redis. `degraded`: they are accepted, and wait. `critical`: time will not mend
   * it, or the fallback is four fifths full.
   */
  readonly level: 'healthy' | 'degraded' | 'critical';
  readonly state: QueueState['kind'];
  readonly current: Acceptor;
  readonly errorClass?: ErrorClass;
  readonly lastError?: string;
  /** What waits in the fallback. */
  readonly depth: number;
  readonly bytes: number;
  readonly oldestAgeMs?: number;
  /** How long it will take to bring it over at the pace so far; only while that is going on. */
  readonly drainEtaMs?: number;
  /** How often Redis came back without what it had acknowledged. */
  readonly dataLossCount: number;
}

export interface QueueStats {
  readonly state: QueueState['kind'];
  readonly current: Acceptor;
  /** Why Redis does not take jobs at this moment. */
  readonly errorClass?: ErrorClass;
  /** What Redis said, or how the link failed, last. */
  readonly lastError?: string;
  readonly acceptedByRedis: number;
  readonly acceptedByFallback: number;
  /** Taken from the fallback by Redis since the start. */
  readonly drained: number;
  /** Accepted by the fallback, and given up for newer ones (`backpressure: 'shed-oldest'`). */
  readonly shed: number;
  /** Refused by Redis for what they are, and kept aside. */
  readonly poisoned: number;
  /** Resent, and found already applied. */
  readonly alreadyApplied: number;
  /** Waiting in memory for an answer of Redis or the journal. */
  readonly pending: number;
  /** Accepted by the fallback and not yet in Redis. */
  readonly backlog: {
    readonly jobs: number;
    readonly bytes: number;
    readonly oldestAgeMs?: number;
  };
  /**
   * How often Redis came back without jobs it had acknowledged, how many sequence numbers it lost, and how
   * many jobs of these were sent again.
   */
  readonly dataLoss: { readonly count: number; readonly jobs: number; readonly resent: number };
  readonly connection: {
    readonly up: boolean;
    readonly failedAttempts: number;
    readonly connects: number;
  };
}

/** What `on()` and the channels `holdfast:queue:<kind>` announce. Times are the clock's `now()`. */
export interface QueueEvents {
  /** The state changed. */
  state: {
    from: QueueState['kind'];
    to: QueueState['kind'];
    errorClass?: ErrorClass;
    atMs: number;
  };
  /** A connection attempt failed; the next one comes after `delayMs`. */
  reconnecting: {
    attempt: number;
    delayMs: number;
    errorClass: ErrorClass;
    error: string;
    atMs: number;
  };
  connected: { attempt: number; atMs: number };
  disconnected: { errorClass: ErrorClass; error: string; atMs: number };
  /** Jobs that were on their way to Redis were moved to the fallback. */
  spilled: { topic: string; jobs: number; atMs: number };
  /** Accepted jobs were given up to make room for newer ones. */
  shed: { jobs: number; atMs: number };
  /** The fallback is empty again. */
  drained: { jobs: number; tookMs: number; atMs: number };
  /**
   * Redis came back without sequence numbers it had acknowledged. Those still retained are sent again; the
   * others, as far as they were not handled, are lost.
   */
  'server-lost-jobs': { topic: string; jobs: number; resent: number; atMs: number };
  /** A handler failed for the last time; the job is in the topic's dead letters. */
  'dead-lettered': { topic: string; id: string; attempts: number; reason: string; atMs: number };
  /**
   * Redis refuses a job for what it is. `kept`: the fallback had accepted it, and `poisonJobs(topic)` lists it;
   * otherwise its caller was told.
   */
  poisoned: { topic: string; id: string; reason: string; kept: boolean; atMs: number };
  /** The job was handed out again although it was handled; it was not run again. */
  redelivered: { topic: string; id: string; atMs: number };
  /** A job was taken over from a dead consumer or a cut-off delivery. */
  recovered: { topic: string; id: string; attempt: number; atMs: number };
}
