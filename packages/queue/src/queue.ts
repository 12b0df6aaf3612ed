import type { Subscribe } from '@holdfast/foundation';
import type { ErrorClass } from './backend.ts';
import type { DeadLetters, Inspection } from './admin/administration.ts';
import type { QueueControl } from './control/control.ts';
import type { IdempotencyLedger } from './ledger/idempotency-ledger.ts';
import type { JobOptions } from './producer/job-options.ts';
import type { JobResults, ResultKeeping } from './outcomes/results.ts';
import type { Priority } from './producer/scheduling.ts';
import type { Accepted, Acceptor } from './state/accepted.ts';
import type { QueueEvents } from './state/queue-events.ts';
import type { QueueState } from './state/queue-state.ts';
import type { SharedLimitOptions } from './limits/limit-options.ts';
import type { Scheduling } from './schedules/schedule.ts';
import type { WindowOptions } from './windows/window-options.ts';
import type { TraceCarrier } from './tracing/tracing.ts';

import type { PayloadInput, PayloadOutput, ResultInput, Topics } from './producer/topics.ts';

export type { DeadJob, DeadLetters, InspectedJob, Inspection } from './admin/administration.ts';
export type { Accepted, Acceptor } from './state/accepted.ts';
export type { QueueEvents } from './state/queue-events.ts';

/**
 * A job queue that accepts jobs during a Redis outage.
 *
 * Guarantees per producer:
 * - **Loss**: an accepted job is in Redis or in the journal before `enqueue` resolves, and stays in one of them until
 *   it is handled. Jobs that Redis itself loses (a crash without persistence) are sent again as far as they are
 *   retained, and reported by the event `server-lost-jobs`. Redis must not evict them: `maxmemory-policy noeviction`.
 * - **Duplicates**: each `enqueue` is applied to Redis at most once, whatever is sent again. A handler may run again
 *   when its process dies before the job is acknowledged, and when Redis forgets that another process handled the job.
 * - **Order**: the jobs of one topic reach Redis in the order of their `enqueue` calls, also across a switch to the
 *   journal and back. With `concurrency: 1` they are handled in that order; failed ones come later, unless
 *   `whenExhausted` is `block`. Jobs of one `key` always are; jobs of a higher `priority` precede others.
 */
export interface Queue<T extends Topics = Topics> extends QueueControl, JobResults<T>, Scheduling {
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
   *   ServerUnsupportedError when Redis is too old, or has not the database of the URL.
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
  enqueue<Topic extends string>(
    topic: Topic,
    payload: PayloadInput<T, Topic>,
    options?: EnqueueOptions,
  ): Promise<Accepted>;
  /**
   * Accepts several jobs of one topic, in this order, each as `enqueue` does. Validates all jobs before the first is
   * sent: one invalid job rejects all. More jobs than may be pending are sent in parts; later jobs of the topic wait
   * behind them.
   * @throws the error of the first rejected job, when none was accepted; PartialEnqueueError, which tells what became of
   *   each, when some were; the signal's own reason at once: `onAccepted` tells which jobs were accepted, then and later.
   */
  enqueueMany<Topic extends string>(
    topic: Topic,
    jobs: readonly NewJob<PayloadInput<T, Topic>>[],
    options?: EnqueueManyOptions,
  ): Promise<Accepted[]>;
  /**
   * Handles the jobs of a topic until the returned consumer or the queue is closed. The ledger records the effect of
   * each job, and the handler receives the ledger's transaction.
   * @throws InvalidOptionError, QueueClosedError, DuplicateConsumerError
   */
  process<Transaction, Topic extends string = string>(
    topic: Topic,
    handler: Handler<Transaction, PayloadOutput<T, Topic>, ResultInput<T, Topic>>,
    options: ProcessOptions & { ledger: IdempotencyLedger<Transaction> },
  ): Consumer;
  /** The same without a ledger. */
  process<Topic extends string>(
    topic: Topic,
    handler: Handler<undefined, PayloadOutput<T, Topic>, ResultInput<T, Topic>>,
    options?: ProcessOptions,
  ): Consumer;
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
   * Waits for running handlers and pending jobs, for at most `deadlineMs` (default 8 000), then closes consumers and
   * connections. Jobs in the journal stay there for the next owner of its directory.
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

/** One job of `enqueueMany`. */
export interface NewJob<Payload = unknown> extends JobOptions, WindowOptions {
  payload: Payload;
  jobId?: string;
  delayMs?: number;
  key?: string;
  priority?: Priority;
}

/** Options of one call of `enqueue`. */
export interface EnqueueOptions extends JobOptions, WindowOptions {
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

/** Options of one call of `enqueueMany`. */
export interface EnqueueManyOptions {
  /** Stops waiting, and sends no further job; those that were sent already may still be accepted. */
  signal?: AbortSignal;
  /**
   * Called once for each accepted job, with its index in the list; also after the call has rejected, for jobs that were
   * on their way then. A job for which it is never called was not accepted, unless the reply was lost. Errors that it
   * throws become warnings of the process.
   */
  onAccepted?: (accepted: Accepted, index: number) => unknown;
}

/** The job that a handler receives. */
export interface Job<Payload = unknown> {
  readonly id: string;
  readonly topic: string;
  readonly payload: Payload;
  /** 1 for the first attempt; higher after the handler failed or a consumer died. */
  readonly attempt: number;
  /** When the job was enqueued, in milliseconds since the Unix epoch, by the producer's wall clock. */
  readonly enqueuedAtMs: number;
  /** The reasons of earlier failures, before it was redriven, the oldest first; absent when there are none. */
  readonly history?: readonly string[];
  /** The trace context of whoever enqueued it; absent without `tracing`. */
  readonly trace?: TraceCarrier;
}

/** A job while its handler runs. */
export interface RunningJob<Payload = unknown> extends Job<Payload> {
  /**
   * Reports how far the job is, for `queue.progress`, and `onProgress` of `queue.result`: anything JSON can hold, at most
   * 16 KiB; of several values within 200 ms, the latest. Never throws.
   * @returns false when it is not reported: it does not fit, the job is not this consumer's any more, or the store keeps
   *   none.
   */
  progress(value: unknown): boolean;
}

/**
 * The signal is aborted when the lease is lost, when the handler has taken `timeoutMs`, or when the deadline of `close`
 * has passed. An error fails the attempt; an {@link UnrecoverableError} buries the job.
 */
export type Handler<Transaction = undefined, Payload = unknown, Result = unknown> = (
  job: RunningJob<Payload>,
  context: { signal: AbortSignal; transaction: Transaction },
) => Promise<Result> | Result;

/** Options of a consumer. All times in milliseconds. */
export interface ProcessOptions extends ResultKeeping, SharedLimitOptions {
  /** The name of the consumer, unique among the consumers of the topic in this queue. Default: a new UUID. */
  name?: string;
  /** The most jobs started per second. Default: no limit. */
  maxPerSecond?: number;
  /**
   * The most jobs handled at once. Where handlers are fast, at most as many more are prefetched. Default 10.
   */
  concurrency?: number;
  /**
   * The number of attempts before a job is dead-lettered. An attempt that its process did not survive counts as well.
   * Default 3.
   */
  maxAttempts?: number;
  /**
   * How many consumers in succession may die with a job before it is dead-lettered; as an attempt, such a death does not
   * count then. 1 to 1 000. Default: what is left of `maxAttempts`.
   */
  maxCrashes?: number;
  /**
   * With `dead-letter`, a job whose attempts are used up goes to the dead letters; until its next attempt, a failed one
   * is put aside as a delayed job, and others go first. With `block` it is retried for ever, at most a minute apart,
   * and blocks its partition, or one of the `concurrency` slots. Default `'dead-letter'`.
   */
  whenExhausted?: 'dead-letter' | 'block';
  /** The delay before the second attempt, doubled for each further one, in milliseconds. Default 1 000. */
  retryDelayMs?: number;
  /**
   * Asked after each failed attempt that is not the last one, with what the handler threw and the number of the attempt:
   * the delay before the next one in milliseconds, `'bury'` for a dead letter at once, or `undefined` for
   * `retryDelayMs`. Where it throws, `retryDelayMs` holds, and the process is warned.
   */
  retry?: (error: unknown, attempt: number) => number | 'bury' | undefined;
  /**
   * How long one attempt may take, with its ledger, in milliseconds. Then the signal of its handler is aborted, and
   * `timed-out` is emitted; a handler that fails after that has failed with a JobTimeoutError, and one that succeeds has
   * handled the job. One that ignores its signal keeps its slot: no job runs twice at once. Default: no limit.
   */
  timeoutMs?: number;
  /** How long a job belongs to a consumer that does not renew its lease, in milliseconds. Default 30 000. */
  leaseMs?: number;
  /**
   * The number of handled jobs that this process remembers for all consumers of the topic, also closed ones, so that
   * they do not run again when Redis loses their acknowledgement. Default 10 000.
   */
  maxRememberedJobs?: number;
}

/** Handles the jobs of a topic until it is closed. */
export interface Consumer {
  readonly topic: string;
  getStats(): ConsumerStats;
  /**
   * Takes no further jobs and waits for running handlers, for at most `deadlineMs` (default 8 000). Then it aborts
   * their signals. Other consumers get the jobs that no handler runs at once, the others when their leases expire.
   */
  close(options?: { deadlineMs?: number }): Promise<void>;
}

/** What a consumer has done since its start, and does now. */
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
  /** Failed jobs that wait for their next attempt with this consumer; others wait in Redis, as delayed ones. */
  readonly waiting: number;
  /** Why the consumer handles nothing; absent while it does, and while Redis is unreachable for all. */
  readonly stalled?: ConsumerStall;
}

/** Redis refuses what a consumer needs: an access right, room for its group, a connection. */
export interface ConsumerStall {
  readonly errorClass: ErrorClass;
  readonly error: string;
  /** Since when, by the clock's `now()`. */
  readonly sinceMs: number;
}

/** What an operator has to know of a queue, computed when it is asked for. */
export interface QueueHealth {
  /**
   * `healthy`: jobs go to Redis and its consumers, and the fallback is ready. `degraded`: jobs are accepted, and wait,
   * the fallback would refuse them, or Redis may evict them. `critical`: an operator has to act, nothing is accepted,
   * or the fallback is 80 % full.
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
  /** The consumers that Redis refuses; absent when there are none. */
  readonly stalledConsumers?: QueueStats['stalledConsumers'];
  /** The policy by which Redis may evict keys; absent when it keeps all, or does not tell this user. */
  readonly evictionPolicy?: string;
  readonly fallbackFailure?: FallbackFailure;
}

/** Why the fallback accepts nothing at the moment: its disk hangs or is read-only, its directory is locked or gone. */
export interface FallbackFailure {
  /** The code of the error that a job would be rejected with, such as `JOURNAL_STALLED`. */
  readonly code: string;
  readonly message: string;
}

/** Numbers of a queue: what it holds now, and what it has counted since its start. */
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
  /** Dropped by consumers of this queue, because they were older than their `expiresInMs`. */
  readonly expired: number;
  /** Accepted by the fallback, and dropped for newer ones (`backpressure: 'shed-oldest'`). */
  readonly shed: number;
  /** The poison jobs that the fallback stores. */
  readonly poisoned: number;
  /** Sent again, although Redis had them already. */
  readonly alreadyApplied: number;
  /** How often this process has taken a new identity, because its journal's directory is a copy. */
  readonly identityRenewals: number;
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
  /** The consumers of this queue that Redis refuses; absent when there are none. */
  readonly stalledConsumers?: readonly (ConsumerStall & { readonly topic: string })[];
  /** The policy by which Redis may evict keys; absent when it keeps all, or does not tell this user. */
  readonly evictionPolicy?: string;
  /** Absent while the fallback is ready. */
  readonly fallbackFailure?: FallbackFailure;
  readonly connection: {
    readonly up: boolean;
    readonly failedAttempts: number;
    readonly connects: number;
  };
}
