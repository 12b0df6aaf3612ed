import {
  HoldfastError,
  type HoldfastErrorDetails,
  type Outcome,
  isHoldfastError,
} from '@holdfast/foundation';
import type { BackendFailure, ErrorClass } from './backend.ts';

/** The store behind the queue failed. `errorClass` tells what can be done about it. */
export class BackendError extends HoldfastError implements BackendFailure {
  readonly code = 'QUEUE_BACKEND_FAILED';
  readonly errorClass: ErrorClass;

  constructor(errorClass: ErrorClass, message: string, cause?: unknown) {
    super(message, { cause, retryable: errorClass !== 'fenced', outcome: 'unknown' });
    this.errorClass = errorClass;
  }
}

/** The queue is closed; the job was not accepted. */
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

/** The topic has a consumer of that name in this queue; no second one was started. */
export class DuplicateConsumerError extends HoldfastError {
  readonly code = 'QUEUE_DUPLICATE_CONSUMER';

  constructor(topic: string, name: string) {
    super(
      `process: ${topic} has a consumer named ${name} already; close it first, or choose another name`,
    );
  }
}

/** The payload does not fit its topic's schema; nothing was accepted. */
export class SchemaViolationError extends HoldfastError {
  readonly code = 'QUEUE_SCHEMA_VIOLATION';
  /** The message of each violation, and the path of the part of the payload that it concerns. */
  readonly issues: readonly { readonly message: string; readonly path: string }[];

  constructor(topic: string, issues: SchemaViolationError['issues']) {
    const [first = { message: 'no reason was given', path: 'payload' }] = issues;
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
    super(
      `enqueue to ${topic}: ${first.path} does not fit the schema: ${first.message}${more}; the job was not accepted`,
      { outcome: 'not-applied' },
    );
    this.issues = issues;
  }
}

/** A limit in memory, in the fallback or in Redis is reached; the job was not accepted. */
export class QueueFullError extends HoldfastError {
  readonly code = 'QUEUE_FULL';
  /** The option that sets the limit, or `fallback` for the limits of the journal (see `cause`). */
  readonly limit: 'maxPendingJobs' | 'maxPendingBytes' | 'maxTopics' | 'maxJobs' | 'fallback';

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
export function isQueueFull(error: unknown): boolean {
  return isHoldfastError(error) && error.code === 'QUEUE_FULL' && error.outcome === 'not-applied';
}

/** Whether the fallback has no room. */
export function isJournalFull(error: unknown): error is HoldfastError {
  return isHoldfastError(error) && error.code === 'JOURNAL_FULL';
}

/** Turns an error of the fallback into the error that `enqueue` rejects with. */
export function toEnqueueError(error: unknown, wasSent: boolean): unknown {
  if (!isJournalFull(error)) return error;
  return new QueueFullError('fallback', `Redis accepts no jobs and ${error.message}`, {
    cause: error,
    outcome: wasSent ? 'unknown' : 'not-applied',
  });
}
