import { HoldfastError } from '@holdfast/foundation';

/** Why the result of a handled job is not there. */
export type ResultNotKeptReason =
  /** It is larger than `keepResults.maxBytes`. */
  | 'too-large'
  /** JSON cannot hold it. */
  | 'not-json'
  /** It does not fit the topic's schema of results. */
  | 'not-fitting'
  /** The job's effect was recorded by an earlier run, whose process died before the store had its result. */
  | 'handled-before';

/** The job whose result is asked for became a dead letter. A redriven one may still end otherwise. */
export class ResultFailedError extends HoldfastError {
  readonly code = 'QUEUE_RESULT_FAILED';
  readonly topic: string;
  readonly id: string;
  /** Of the dead letter: the last error of its handler. */
  readonly reason: string;
  readonly attempts: number;

  constructor(topic: string, id: string, reason: string, attempts: number) {
    super(
      `result of ${id} in ${topic}: it became a dead letter after ${attempts} attempts (${reason}); ` +
        'correct the cause and redrive it',
      { retryable: false, outcome: 'unknown' },
    );
    this.topic = topic;
    this.id = id;
    this.reason = reason;
    this.attempts = attempts;
  }
}

/** The job was handled, but its result could not be kept. */
export class ResultNotKeptError extends HoldfastError {
  readonly code = 'QUEUE_RESULT_NOT_KEPT';
  readonly topic: string;
  readonly id: string;
  readonly why: ResultNotKeptReason;

  constructor(topic: string, id: string, why: ResultNotKeptReason, seen: string) {
    super(
      `result of ${id} in ${topic}: it was handled, but its result is not kept, ${why} (${seen}); ` +
        'keep it elsewhere and return its address, or raise keepResults.maxBytes',
      { retryable: false, outcome: 'applied' },
    );
    this.topic = topic;
    this.id = id;
    this.why = why;
  }
}

/** The job ended, and its outcome was kept for `keepResults.ttlMs`, which is over. */
export class ResultExpiredError extends HoldfastError {
  readonly code = 'QUEUE_RESULT_EXPIRED';
  readonly topic: string;
  readonly id: string;

  constructor(topic: string, id: string) {
    super(
      `result of ${id} in ${topic}: it ended, and its outcome has expired; ask earlier, or raise keepResults.ttlMs`,
      { retryable: false, outcome: 'unknown' },
    );
    this.topic = topic;
    this.id = id;
  }
}

/**
 * No outcome of the job was there within `timeoutMs`: it waits or runs still, was cancelled, never existed, or its
 * consumer keeps no results. `cause` is why the store could not be asked, if it could not.
 */
export class ResultUnknownError extends HoldfastError {
  readonly code = 'QUEUE_RESULT_UNKNOWN';
  readonly topic: string;
  readonly id: string;
  readonly timeoutMs: number;

  constructor(topic: string, id: string, timeoutMs: number, cause: unknown) {
    super(
      `result of ${id} in ${topic}: no outcome within ${timeoutMs} ms; ask again, or check its id and that its ` +
        'consumer has keepResults',
      { ...(cause !== undefined && { cause }), retryable: true, outcome: 'unknown' },
    );
    this.topic = topic;
    this.id = id;
    this.timeoutMs = timeoutMs;
  }
}
