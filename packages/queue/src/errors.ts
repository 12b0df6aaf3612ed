import {
  HoldfastError,
  type HoldfastErrorDetails,
  type Outcome,
  isHoldfastError,
} from '@holdfast/foundation';
import { isNativeError } from 'node:util/types';
import type { JournalFullError } from '@holdfast/journal';
import type { BackendFailure, ErrorClass } from './backend.ts';
import type { Accepted } from './state/accepted.ts';

/** The store behind the queue failed. `errorClass` tells what can be done about it. */
export class BackendError extends HoldfastError implements BackendFailure {
  readonly code = 'QUEUE_BACKEND_FAILED';
  readonly errorClass: ErrorClass;

  /** @param outcome `not-applied` when nothing was sent. */
  constructor(
    errorClass: ErrorClass,
    message: string,
    cause?: unknown,
    outcome: Outcome = 'unknown',
  ) {
    super(message, { cause, retryable: errorClass !== 'fenced', outcome });
    this.errorClass = errorClass;
  }
}

/** The queue is closed. The job was not accepted; one that was on its way to Redis may be there: `outcome` tells. */
export class QueueClosedError extends HoldfastError {
  readonly code = 'QUEUE_CLOSED';

  /** @param outcome `unknown` for a job that was in flight to Redis when the queue was closed. */
  constructor(tried: string, outcome: Outcome = 'not-applied') {
    super(`${tried}: the queue is closed; create a new one`, { outcome });
  }
}

/** The server lacks a feature that the queue needs, so the queue accepts nothing; the job was not accepted. */
export class ServerUnsupportedError extends HoldfastError {
  readonly code = 'QUEUE_SERVER_UNSUPPORTED';

  constructor(tried: string, { message }: BackendFailure) {
    super(`${tried}: ${message}; no job is accepted until the server is replaced`, {
      outcome: 'not-applied',
    });
  }
}

/** Redis accepts jobs of the topic, but not this one. The job was not accepted, and does not block others. */
export class PoisonJobError extends HoldfastError {
  readonly code = 'QUEUE_JOB_POISON';
  readonly topic: string;
  readonly id: string;
  /** The reply of Redis. */
  readonly reason: string;

  constructor(topic: string, id: string, reason: string) {
    super(
      `enqueue to ${topic}: Redis rejects job ${id} (${reason}), but accepts others; change the job, ` +
        'or the key in Redis that it needs',
      { retryable: false, outcome: 'not-applied' },
    );
    this.topic = topic;
    this.id = id;
    this.reason = reason;
  }
}

/**
 * Thrown by a handler: no further attempt can help. The job becomes a dead letter at once. Any error of this `name` counts,
 * such as the class of BullMQ.
 */
export class UnrecoverableError extends HoldfastError {
  readonly code = 'QUEUE_JOB_UNRECOVERABLE';

  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, { ...options, retryable: false, outcome: 'unknown' });
  }
}

/** A handler took longer than `timeoutMs`, and failed after its signal was aborted. The attempt counts. */
export class JobTimeoutError extends HoldfastError {
  readonly code = 'QUEUE_JOB_TIMED_OUT';
  readonly topic: string;
  readonly id: string;
  readonly timeoutMs: number;

  constructor(topic: string, id: string, timeoutMs: number, cause?: unknown) {
    super(`job ${id} of ${topic}: its handler took longer than ${timeoutMs} ms`, {
      ...(cause !== undefined && { cause }),
      retryable: true,
      outcome: 'unknown',
    });
    this.topic = topic;
    this.id = id;
    this.timeoutMs = timeoutMs;
  }
}

/** The reason of the signal of a handler whose job was cancelled. */
export class JobCancelledError extends HoldfastError {
  readonly code = 'QUEUE_JOB_CANCELLED';

  constructor(topic: string) {
    super(`${topic}: the job was cancelled; it does not run again`, {
      retryable: false,
      outcome: 'unknown',
    });
  }
}

/** The store has no such operation, or not on such a job; nothing was changed. */
export class OperationUnsupportedError extends HoldfastError {
  readonly code = 'QUEUE_OPERATION_UNSUPPORTED';
  readonly operation: string;

  constructor(operation: string, reason = 'the store has no such operation', cause?: unknown) {
    super(`${operation}: ${reason}; see the documentation of the store of this queue`, {
      cause,
      retryable: false,
      outcome: 'not-applied',
    });
    this.operation = operation;
  }
}

/** A `purge` or `drain` failed when some jobs were removed already; call it again for the others. */
export class PurgeInterruptedError extends HoldfastError {
  readonly code = 'QUEUE_PURGE_INTERRUPTED';
  readonly topic: string;
  /** The jobs that were removed, as far as is known. */
  readonly removed: number;

  constructor(tried: string, topic: string, removed: number, cause: BackendError) {
    super(
      `${tried} of ${topic}: ${removed} jobs were removed, then ${cause.message}; call it again for the others`,
      { cause, retryable: true, outcome: 'unknown' },
    );
    this.topic = topic;
    this.removed = removed;
  }
}

/** A handler ignored a failed statement, so its transaction could not be committed. The job is retried. */
export class EffectRolledBackError extends HoldfastError {
  readonly code = 'QUEUE_EFFECT_ROLLED_BACK';

  constructor(topic: string, id: string) {
    super(
      `job ${id} of ${topic}: the transaction was rolled back, because a statement in it had failed and the ` +
        'handler did not throw; let the errors of statements propagate',
      { retryable: true, outcome: 'not-applied' },
    );
  }
}

/** An optional package that this call needs is not installed; nothing was changed. */
export class MissingPeerError extends HoldfastError {
  readonly code = 'QUEUE_PEER_MISSING';
  /** The name of the package. */
  readonly peer: string;

  constructor(tried: string, peer: string, cause: unknown) {
    super(`${tried}: the package ${peer} cannot be loaded; install it`, {
      cause,
      retryable: false,
      outcome: 'not-applied',
    });
    this.peer = peer;
  }
}

/** The topic has a consumer of that name in this queue; no second one was started. */
export class DuplicateConsumerError extends HoldfastError {
  readonly code = 'QUEUE_DUPLICATE_CONSUMER';

  constructor(topic: string, name: string) {
    super(
      `process: ${topic} has a consumer named ${name} already; close it first, or choose another name`,
    );
  }
}

/**
 * The payload does not fit its topic's schema. `enqueue` rejects with it, and nothing was accepted; a job that reached a
 * consumer is dead-lettered with its message.
 */
export class SchemaViolationError extends HoldfastError {
  readonly code = 'QUEUE_SCHEMA_VIOLATION';
  /** The message of each violation, and the path of the part of the payload that it concerns. */
  readonly issues: readonly { readonly message: string; readonly path: string }[];

  constructor(topic: string, issues: SchemaViolationError['issues']) {
    const [first = { message: 'no reason was given', path: 'payload' }] = issues;
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
    super(
      `${topic}: ${first.path} does not fit the schema: ${first.message}${more}; correct the payload, or the schema of the topic`,
      { outcome: 'not-applied' },
    );
    this.issues = issues;
  }
}

/**
 * A limit in memory, in the fallback or in Redis is reached. The job was not accepted; one whose reply of Redis was lost
 * before may be there: `outcome` tells.
 */
export class QueueFullError extends HoldfastError {
  readonly code = 'QUEUE_FULL';
  /** The option that sets the limit, or `fallback` for the limits of the journal (see `cause`). */
  readonly limit:
    | 'maxPendingJobs'
    | 'maxPendingBytes'
    | 'maxTopics'
    | 'maxJobs'
    | 'schedules'
    | 'fallback';

  constructor(limit: QueueFullError['limit'], seen: string, details: HoldfastErrorDetails = {}) {
    super(`enqueue: ${seen}; call again later, or raise the limit`, {
      outcome: 'not-applied',
      ...details,
      retryable: true,
      retryAfterMs: 1_000,
    });
    this.limit = limit;
  }
}

/**
 * Some jobs of an `enqueueMany` were accepted, and others were not. `cause` is the error of the first rejected job.
 * The same call would add the accepted ones again, unless their `jobId`s are given: enqueue the others.
 */
export class PartialEnqueueError extends HoldfastError {
  readonly code = 'QUEUE_PARTIALLY_ENQUEUED';
  /** What became of each job, in the order of the call. */
  readonly results: readonly PromiseSettledResult<Accepted>[];

  constructor(topic: string, results: readonly PromiseSettledResult<Accepted>[], cause: unknown) {
    const accepted = results.filter(({ status }) => status === 'fulfilled').length;
    super(
      `enqueueMany to ${topic}: ${accepted} of ${results.length} jobs were accepted, the others were not ` +
        `(${messageOf(cause)}); enqueue those whose entries in results are rejected again`,
      { cause, retryable: false, outcome: 'unknown' },
    );
    this.results = results;
  }

  /** The answers for the accepted jobs, in the order of the call. */
  get accepted(): Accepted[] {
    return this.results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  }
}

/** A job of an `enqueueMany` was not sent, because one before it had been rejected (`cause`). */
export class NotSentError extends HoldfastError {
  readonly code = 'QUEUE_NOT_SENT';

  constructor(cause: unknown) {
    super(
      'enqueueMany: the job was not sent, because one before it was rejected; enqueue it again',
      { cause, retryable: true, outcome: 'not-applied' },
    );
  }
}

/** The journal is being opened, and Redis does not accept the job, which is nowhere. */
export class FallbackNotReadyError extends HoldfastError {
  readonly code = 'QUEUE_FALLBACK_NOT_READY';

  /** @param cause why the last attempt to open it failed, if one has. */
  constructor(cause: unknown) {
    super(
      'enqueue: Redis does not accept the job, and the journal is not open yet; call again later',
      { cause, outcome: 'not-applied', retryable: true, retryAfterMs: 1_000 },
    );
  }
}

/** The job was sent to Redis, whose reply was lost, and then the fallback refused it: Redis may have it. */
export class FallbackFailedError extends HoldfastError {
  readonly code = 'QUEUE_FALLBACK_FAILED';

  constructor(cause: HoldfastError) {
    super(`enqueue: Redis did not answer, and ${cause.message}`, {
      cause,
      outcome: 'unknown',
      retryable: true,
    });
  }
}

/** The payload's JSON is longer than `maxPayloadBytes`; nothing was accepted. */
export class PayloadTooLargeError extends HoldfastError {
  readonly code = 'QUEUE_PAYLOAD_TOO_LARGE';
  readonly field = 'payload';
  readonly bytes: number;
  readonly maxPayloadBytes: number;

  constructor(topic: string, bytes: number, maxPayloadBytes: number) {
    super(
      `enqueue to ${topic}: payload must be at most ${maxPayloadBytes} bytes of JSON, but is ${bytes}; ` +
        'store the content elsewhere and enqueue its address, or raise maxPayloadBytes',
      { outcome: 'not-applied' },
    );
    this.bytes = bytes;
    this.maxPayloadBytes = maxPayloadBytes;
  }
}

/** The memory fallback still held jobs when the queue was closed; these jobs are lost. */
export class UndrainedJobsError extends HoldfastError {
  readonly code = 'QUEUE_UNDRAINED';
  readonly jobs: number;

  constructor(jobs: number, deadlineMs: number) {
    super(
      `close: Redis did not accept ${jobs} jobs from the memory fallback within ${deadlineMs} ms; ` +
        'use a journal directory as fallback for jobs that must survive',
    );
    this.jobs = jobs;
  }
}

/** An unexpected error is treated as `denied`: an operator has to look. */
export function toBackendFailure(error: unknown): BackendFailure {
  return error instanceof BackendError ? error : { errorClass: 'denied', message: String(error) };
}

/** Whether the job was rejected because a limit is reached, and was not sent. */
export function isQueueFull(error: unknown): error is QueueFullError {
  return isNotApplied(error) && error.code === 'QUEUE_FULL';
}

/** Whether it is known that the job was not added. */
export function isNotApplied(error: unknown): error is HoldfastError {
  return isHoldfastError(error) && error.outcome === 'not-applied';
}

function messageOf(error: unknown): string {
  return isNativeError(error) ? error.message : String(error);
}

/** Whether the fallback has no room. */
export function isJournalFull(error: unknown): error is JournalFullError {
  return isHoldfastError(error) && error.code === 'JOURNAL_FULL';
}

/** Turns an error of the fallback into the error that `enqueue` rejects with. */
export function toEnqueueError(error: unknown, wasSent: boolean): unknown {
  if (!isJournalFull(error)) {
    const isUncertain = wasSent && isHoldfastError(error) && error.outcome !== 'unknown';
    return isUncertain ? new FallbackFailedError(error) : error;
  }
  return new QueueFullError('fallback', `Redis accepts no jobs and ${error.message}`, {
    cause: error,
    outcome: wasSent ? 'unknown' : 'not-applied',
  });
}
