import { HoldfastError, type HoldfastErrorDetails, type Outcome } from '@holdfast/foundation';
import type { BackendFailure, ErrorClass } from './backend.ts';

/** The store behind the queue failed; sorted by what can be done about it. */
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

  /** @param outcome `unknown` for a job that was on its way to Redis when the queue was closed. */
  constructor(tried: string, outcome: Outcome = 'not-applied') {
    super(`${tried}: the queue is closed; create a new one`, { outcome });
  }
}

/** The server cannot do what the queue needs, so nothing is accepted for it; the job was not. */
export class ServerUnsupportedError extends HoldfastError {
  readonly code = 'QUEUE_SERVER_UNSUPPORTED';

  constructor(tried: string, { message }: BackendFailure) {
    super(`${tried}: ${message}; nothing is accepted until another server is there`, {
      outcome: 'not-applied',
    });
  }
}

/** Redis takes jobs of the topic, but not this one; it was not accepted, and does not hold others up. */
export class PoisonJobError extends HoldfastError {
  readonly code = 'QUEUE_JOB_POISON';
  readonly topic: string;
  readonly id: string;
  /** What Redis said. */
  readonly reason: string;

  constructor(topic: string, id: string, reason: string) {
    super(
      `enqueue to ${topic}: Redis refuses job ${id} for what it is (${reason}), and takes others; change the job, ` +
        'or what it meets in Redis',
      { retryable: false, outcome: 'not-applied' },
    );
    this.topic = topic;
    this.id = id;
    this.reason = reason;
  }
}

/** A handler hid the failure of a statement, so that its transaction could not be committed; it is tried again. */
export class EffectRolledBackError extends HoldfastError {
  readonly code = 'QUEUE_EFFECT_ROLLED_BACK';

  constructor(topic: string, id: string) {
    super(
      `job ${id} of ${topic}: the transaction was rolled back, because a statement in it had failed and the ` +
        'handler did not throw; let the failures of statements through',
      { retryable: true, outcome: 'not-applied' },
    );
  }
}

/** The topic has a consumer of that name in this queue; none was started. */
export class DuplicateConsumerError extends HoldfastError {
  readonly code = 'QUEUE_DUPLICATE_CONSUMER';

  constructor(topic: string, name: string) {
    super(
      `process: ${topic} has a consumer named ${name} already; close it first, or name this one otherwise`,
    );
  }
}

/** The payload does not fit its topic's schema; nothing was accepted. */
export class SchemaViolationError extends HoldfastError {
  readonly code = 'QUEUE_SCHEMA_VIOLATION';
  /** What the schema said, and of which part of the payload. */
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

/** A bound is met, in memory or in the fallback; the job was not accepted. */
export class QueueFullError extends HoldfastError {
  readonly code = 'QUEUE_FULL';
  /** Which bound: an option's name, or `fallback` for the bounds of the journal (see `cause`). */
  readonly limit: 'maxPendingJobs' | 'maxPendingBytes' | 'maxTopics' | 'maxJobs' | 'fallback';

  constructor(limit: QueueFullError['limit'], seen: string, details: HoldfastErrorDetails = {}) {
    super(`enqueue: ${seen}; call again later, or raise the bound`, {
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

/** The memory fallback still held jobs when the queue was closed: they are gone. */
export class UndrainedJobsError extends HoldfastError {
  readonly code = 'QUEUE_UNDRAINED';
  readonly jobs: number;

  constructor(jobs: number, deadlineMs: number) {
    super(
      `close: Redis did not take ${jobs} jobs from the memory fallback within ${deadlineMs} ms; ` +
        'use a journal directory as fallback where they must survive',
    );
    this.jobs = jobs;
  }
}
