import type { ResultOutput, Topics } from '../producer/topics.ts';

/** What became of jobs, asked for by any process; their consumers need `keepResults`. */
export interface JobResults<T extends Topics = Topics> {
  /**
   * Waits for the outcome of a job, which any process may handle: resolves with what its handler returned. Waits through
   * an outage of Redis; a result that Redis has lost in it is there again when the process lives that handled the job.
   * @param id of the job, which `enqueue` has returned.
   * @throws ResultFailedError for a dead letter; ResultNotKeptError for a result that could not be kept;
   *   ResultExpiredError; ResultUnknownError after `timeoutMs`; SchemaViolationError where the result does not fit the
   *   topic's schema; QueueClosedError; OperationUnsupportedError; the signal's own reason.
   */
  result<Topic extends string>(
    topic: Topic,
    id: string,
    options?: ResultWaitOptions,
  ): Promise<ResultOutput<T, Topic>>;
  /**
   * The latest progress that the handler of a job has reported; `undefined` when there is none, or it has expired.
   * @throws BackendError while Redis is away; OperationUnsupportedError
   */
  progress(topic: string, id: string): Promise<unknown>;
}

/** Options of one call of `result`. */
export interface ResultWaitOptions {
  /** Stops waiting. */
  signal?: AbortSignal;
  /** How long to wait for the outcome, in milliseconds. 0 asks once. Default 30 000. */
  timeoutMs?: number;
  /** Called with each new progress of the job while waiting. Errors that it throws become warnings of the process. */
  onProgress?: (progress: unknown) => unknown;
}

/** Options of a consumer that keeps what its handlers return. */
export interface KeepResults {
  /** How long the outcome of a job is kept after its end, in milliseconds. 1 to one week, default one hour. */
  ttlMs?: number;
  /** The largest result, as JSON, in bytes. A larger one is not kept; its job is handled all the same. Default 64 KiB. */
  maxBytes?: number;
}

/** The part of a consumer's options that concerns results. */
export interface ResultKeeping {
  /**
   * Keeps what the handler returns, or why the job became a dead letter, for `queue.result`; in the step that ends the
   * job. `true` for the defaults. Default: nothing is kept.
   */
  keepResults?: true | KeepResults;
}
