import type { Subscribe } from '@holdfast/foundation';
import type { ErrorClass, PeekedKind, TopicCounts } from './backend.ts';
import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import type { Priority } from './producer/scheduling.ts';
import type { QueueState } from './state/queue-state.ts';

/**
 * A job queue that accepts jobs during a Redis outage.
 *
 * Guarantees per producer:
 * - **Loss**: an accepted job is in Redis or in the journal before `enqueue` resolves, and stays in one of them until
 *   it is handled. Jobs that Redis itself loses (a crash without persistence) are sent again as far as they are
 *   retained, and reported by the event `server-lost-jobs`.
 * - **Duplicates**: each `enqueue` is applied to Redis at most once, whatever is sent again. A handler may run again
 *   when its process dies before the job is acknowledged.
 * - **Order**: the jobs of one topic reach Redis in the order of their `enqueue` calls, also across a switch to the
 *   journal and back. With `concurrency: 1` they are handled in that order. Jobs of one `key` always are; jobs of a
 *   higher `priority` precede others.
 */
export interface Queue {
  /** The store that accepts jobs now. */
  readonly current: Acceptor;
  /** See `state/queue-state.ts` for the state diagram. */
  readonly state: QueueState['kind'];
  /** Adds a listener; the same events are published on `node:diagnostics_channel`. */
  readonly on: Subscribe<QueueEvents>;
  /**
   * Resolves once the journal is open and the first attempt to connect to Redis has succeeded or failed. Calling it
   * is optional: `enqueue` waits for the same.
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
   *   QueueClosedError; ServerUnsupportedError; the signal's own reason.
   */
  enqueue(topic: string, payload: unknown, options?: EnqueueOptions): Promise<Accepted>;
  /**
   * Accepts several jobs of one topic, in this order, each as `enqueue` does. Validates all jobs before the first is
   * sent: one invalid job rejects all.
   * @throws the errors of `enqueue`, for the first rejected job; others may have been accepted.
   */
  enqueueMany(
    topic: string,
    jobs: readonly NewJob[],
    options?: { signal?: AbortSignal },
  ): Promise<Accepted[]>;
  /**
   * Handles the jobs of a topic until the returned consumer or the queue is closed. The ledger records the effect of
   * each job, and the handler receives the ledger's transaction.
   * @throws InvalidOptionError, QueueClosedError, DuplicateConsumerError
   */
  process<Transaction>(
    topic: string,
    handler: Handler<Transaction>,
    options: ProcessOptions & { ledger: IdempotencyLedger<Transaction> },
  ): Consumer;
  /** The same without a ledger. */
  process(topic: string, handler: Handler, options?: ProcessOptions): Consumer;
  getStats(): QueueStats;
  /** The dead letters of a topic: jobs whose attempts are used up. */
  deadLetters(topic: string): DeadLetters;
  /** Counts and lists the jobs of a topic in Redis without taking any. */
  inspect(topic: string): Inspection;
  /**
   * The poison jobs of a topic: jobs that Redis rejected individually after the fallback had accepted them. The
   * fallback stores them, so they can be listed while Redis is down.
   */
  poisonJobs(topic: string): DeadLetters;
  /** A summary for monitoring. */
  health(): QueueHealth;
  /**
   * Waits for running handlers and pending jobs, for at most `deadlineMs`, then closes consumers and connections. Jobs
   * in the journal stay there for the next owner of its directory.
   * @throws UndrainedJobsError when a memory fallback still holds jobs that Redis did not accept in time.
   */
  close(options?: { deadlineMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The store that must have a job before `enqueue` resolves.
 * - `local`: the fallback, durably; the job is forwarded to Redis afterwards.
 * - `redis`: Redis; while it is down, the fallback.
 * - `replicated`: Redis and `replicas` of its replicas; while they do not have it, the fallback.
 */
export type AcknowledgeLevel = 'local' | 'redis' | 'replicated';

/** The store that accepts a job. */
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
  /** The delay before the job is handled, in milliseconds, by the clock of Redis. Default 0. */
  delayMs?: number;
  /**
   * The caller's own id for this job, 1 to 200 characters: of several jobs with one id, only the first is applied, for
   * `jobIdTtlMs`. Default: a new id.
   */
  jobId?: string;
  /**
   * Jobs of one key are handled one at a time, in the order of their `enqueue` calls, across all consumers. 1 to 200
   * characters. Needs `topics.<name>.partitions`.
   */
  key?: string;
  /**
   * Jobs of a higher priority are handled first: of ten jobs taken while all levels have jobs waiting, seven are
   * `high`, two `normal` and one `low`. Each level keeps the order of `enqueue`. Excludes `key`. Default `normal`.
   */
  priority?: Priority;
  /** Stops waiting; a job that was sent already may still be accepted. */
  signal?: AbortSignal;
}

export interface Accepted {
  /** The caller's `jobId`, or the new id. */
  readonly id: string;
  readonly accepted: Acceptor;
  /** Redis knew this `jobId` already, so the job was not added. Only set when `accepted` is `redis`. */
  readonly duplicate?: true;
}

/** The job that a handler receives. */
export interface Job {
  readonly id: string;
  readonly topic: string;
  readonly payload: unknown;
  /** 1 for the first attempt; higher after the handler failed or a consumer died. */
  readonly attempt: number;
  /** When the job was enqueued, in milliseconds since the Unix epoch, by the producer's wall clock. */
  readonly enqueuedAtMs: number;
  /** The reasons of earlier failures, before it was redriven, the oldest first; absent when there are none. */
  readonly history?: readonly string[];
}

/** The signal is aborted when the lease is lost, or when the deadline of `close` has passed. */
export type Handler<Transaction = undefined> = (
  job: Job,
  context: { signal: AbortSignal; transaction: Transaction },
) => Promise<void> | void;

export interface ProcessOptions {
  /** The name of the consumer, unique among the consumers of the topic in this queue. Default: a new UUID. */
  name?: string;
  /** The most jobs started per second. Default: no limit. */
  maxPerSecond?: number;
  /**
   * The most jobs handled at once. Where handlers are fast, at most as many more are prefetched. Default 10.
   */
  concurrency?: number;
  /** The number of attempts before a job is dead-lettered. Default 3. */
  maxAttempts?: number;
  /**
   * With `dead-letter`, a job whose attempts are used up goes to the dead letters. With `block` it is retried for ever,
   * at most a minute apart, and blocks its partition, or one of the `concurrency` slots. Default `'dead-letter'`.
   */
  whenExhausted?: 'dead-letter' | 'block';
  /** The delay before the second attempt, doubled for each further one, in milliseconds. Default 1 000. */
  retryDelayMs?: number;
  /** How long a job belongs to a consumer that does not renew its lease, in milliseconds. Default 30 000. */
  leaseMs?: number;
  /**
   * The number of handled jobs that are remembered, so that they do not run again when Redis loses their
   * acknowledgement. Default 10 000.
   */
  maxRememberedJobs?: number;
}

/** A job whose attempts are used up, or that Redis rejected. */
export interface DeadJob {
  readonly id: string;
  readonly payload: unknown;
  readonly enqueuedAtMs: number;
  readonly attempts: number;
  /** The last error of its handler, or the reply of Redis. */
  readonly reason: string;
  /** The reasons of earlier failures, before it was redriven; the oldest first. */
  readonly history: readonly string[];
}

/** Dead letters are in Redis, so both methods reject with BackendError while it is down. */
export interface DeadLetters {
  /** The oldest ones. @param options.limit default 100. */
  list(options?: { limit?: number }): Promise<DeadJob[]>;
  /**
   * Makes them jobs again, the oldest first, with the same ids, attempts from 1, and their reasons in `job.history`.
   * @param options.ids only these; default all.
   * @param options.limit default 1 000.
   * @returns their number.
   */
  redrive(options?: { ids?: readonly string[]; limit?: number }): Promise<number>;
}

/** Reads from Redis, so both methods reject with BackendError while it is down. `getStats()` describes the fallback. */
export interface Inspection {
  counts(): Promise<TopicCounts>;
  /**
   * Lists some jobs of one kind: `waiting`, `pending` (delivered) or `delayed`; the oldest first within each level and
   * partition. `deadLetters` lists the dead ones.
   * @param options.limit 1 to 1 000, default 20.
   */
  peek(kind: PeekedKind, options?: { limit?: number }): Promise<InspectedJob[]>;
}

export interface InspectedJob {
  readonly id: string;
  readonly payload: unknown;
  readonly enqueuedAtMs: number;
  /** The number of deliveries. */
  readonly attempts: number;
  readonly dueAtMs?: number;
  readonly priority?: Priority;
}

export interface Consumer {
  readonly topic: string;
  getStats(): ConsumerStats;
  /**
   * Takes no further jobs and waits for running handlers, for at most `deadlineMs` (default 30 000). Then it aborts
   * their signals and leaves their jobs to other consumers.
   */
  close(options?: { deadlineMs?: number }): Promise<void>;
}

export interface ConsumerStats {
  readonly running: number;
  /** Handled jobs whose acknowledgement Redis has not confirmed yet. */
  readonly unconfirmed: number;
  readonly handled: number;
  readonly failed: number;
  readonly deadLettered: number;
  /** Jobs taken over from dead consumers, and jobs whose delivery was lost. */
  readonly recovered: number;
  /** Jobs delivered again after they were handled, as this process or the ledger knew; they did not run again. */
  readonly redelivered: number;
}

export interface QueueHealth {
  /**
   * `healthy`: jobs go to Redis. `degraded`: jobs are accepted, and wait. `critical`: an operator has to act, or the
   * fallback is 80 % full.
   */
  readonly level: 'healthy' | 'degraded' | 'critical';
  readonly state: QueueState['kind'];
  readonly current: Acceptor;
  readonly errorClass?: ErrorClass;
  readonly lastError?: string;
  /** The number of jobs in the fallback. */
  readonly depth: number;
  readonly bytes: number;
  readonly oldestAgeMs?: number;
  /** The remaining time of the drain at its pace so far; only while draining. */
  readonly drainEtaMs?: number;
  /** How often Redis came back without jobs it had acknowledged. */
  readonly dataLossCount: number;
}

export interface QueueStats {
  readonly state: QueueState['kind'];
  readonly current: Acceptor;
  /** The class of the failure that caused the current state. */
  readonly errorClass?: ErrorClass;
  /** The message of that failure. */
  readonly lastError?: string;
  readonly acceptedByRedis: number;
  readonly acceptedByFallback: number;
  /** Moved from the fallback to Redis since the start. */
  readonly drained: number;
  /** Accepted by the fallback, and dropped for newer ones (`backpressure: 'shed-oldest'`). */
  readonly shed: number;
  /** The poison jobs that the fallback stores. */
  readonly poisoned: number;
  /** Sent again, although Redis had them already. */
  readonly alreadyApplied: number;
  /** Waiting in memory for a reply of Redis or the journal. */
  readonly pending: number;
  /** Accepted by the fallback, and not in Redis yet. */
  readonly backlog: {
    readonly jobs: number;
    readonly bytes: number;
    readonly oldestAgeMs?: number;
  };
  /**
   * How often Redis came back without jobs it had acknowledged, how many sequence numbers it lost, and how many of
   * these jobs were sent again.
   */
  readonly dataLoss: { readonly count: number; readonly jobs: number; readonly resent: number };
  readonly connection: {
    readonly up: boolean;
    readonly failedAttempts: number;
    readonly connects: number;
  };
}

/** The events of `on()` and of the channels `holdfast:queue:<kind>`. Times are the clock's `now()`. */
export interface QueueEvents {
  state: {
    from: QueueState['kind'];
    to: QueueState['kind'];
    errorClass?: ErrorClass;
    atMs: number;
  };
  /** A connection attempt failed; the next one follows after `delayMs`. */
  reconnecting: {
    attempt: number;
    delayMs: number;
    errorClass: ErrorClass;
    error: string;
    atMs: number;
  };
  connected: { attempt: number; atMs: number };
  disconnected: { errorClass: ErrorClass; error: string; atMs: number };
  /** Jobs in flight to Redis failed, and go to the fallback. */
  spilled: { topic: string; jobs: number; atMs: number };
  /** Accepted jobs were dropped to make room for newer ones. */
  shed: { jobs: number; atMs: number };
  /** The fallback is empty again. */
  drained: { jobs: number; tookMs: number; atMs: number };
  /**
   * Redis came back without sequence numbers it had acknowledged. Retained jobs are sent again; the others are lost,
   * unless they were handled.
   */
  'server-lost-jobs': { topic: string; jobs: number; resent: number; atMs: number };
  /** The attempts of a job are used up; it is in the topic's dead letters. */
  'dead-lettered': { topic: string; id: string; attempts: number; reason: string; atMs: number };
  /**
   * Redis rejects one job individually. `kept`: the fallback had accepted it, and `poisonJobs(topic)` lists it;
   * otherwise its `enqueue` was rejected.
   */
  poisoned: { topic: string; id: string; reason: string; kept: boolean; atMs: number };
  /** The job was delivered again after it was handled; it did not run again. */
  redelivered: { topic: string; id: string; atMs: number };
  /** A job was taken over from a dead consumer, or its lost delivery was repeated. */
  recovered: { topic: string; id: string; attempt: number; atMs: number };
}
