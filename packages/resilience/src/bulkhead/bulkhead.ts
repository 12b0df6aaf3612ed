import type { Clock, Subscribe } from '@holdfast/foundation';

/** The order of waiting calls; within one class, first come, first served. */
export type CallPriority = 'high' | 'normal' | 'low';

/** Releases the slot; calling it again does nothing. */
export type Release = () => void;

export interface BulkheadOptions {
  /** Appears in errors and events. Default `bulkhead`. */
  name?: string;
  /** How many calls run at a time. Default 10. */
  maxConcurrent?: number;
  /** How many calls wait for a slot; further calls are refused. 0 refuses at once. Default 100. */
  maxQueueSize?: number;
  /** How long a call waits for a slot, in milliseconds. Default 5 000. */
  queueTimeoutMs?: number;
  clock?: Clock;
}

export interface BulkheadCallOptions {
  /** An abort removes the call from the queue at once; it rejects with the signal's own reason. */
  signal?: AbortSignal | undefined;
  /** Default `normal`. */
  priority?: CallPriority | undefined;
}

export interface BulkheadStats {
  readonly activeCount: number;
  readonly queuedCount: number;
  /** Calls refused since the start because slots and queue were full, shed calls included. */
  readonly rejectedCount: number;
  /** Calls that got no slot within `queueTimeoutMs`. */
  readonly timedOutCount: number;
  /** Slots released since the start. */
  readonly completedCount: number;
  /** How long a slot is held: an exponential moving average, in which the last call weighs a tenth. */
  readonly avgExecutionMs: number;
  readonly maxConcurrent: number;
  readonly maxQueueSize: number;
}

export interface BulkheadEvents {
  rejected: { name: string; reason: 'full' | 'timeout' | 'cleared' | 'closed' };
}

/**
 * Limits how many calls run at a time, so that one slow dependency cannot take every resource.
 *
 *            a slot is free, no call waits
 *   arrival ------------------------------> running --release--> done
 *      | all slots taken                      ^
 *      v                   first in queue     |
 *   waiting ----------------------------------+
 *      | abort, timeout, clear, shed by a more urgent call
 *      v
 *   refused (the function was never called)
 *
 * A released slot goes to the first waiting call within the release itself, so that no new call finds it
 * free. A slot counts as taken until the work has really settled.
 */
export interface Bulkhead {
  readonly name: string;
  /** A slot, if one is free now. */
  tryAcquire(): Release | undefined;
  /**
   * A slot, after waiting in the queue if necessary.
   * @throws BulkheadFullError, BulkheadTimeoutError, BulkheadClearedError, BulkheadClosedError, or the
   * signal's own reason.
   */
  acquire(options?: BulkheadCallOptions): Promise<Release>;
  /** Calls `fn` in a slot, which is released when the result of `fn` has settled. Rejects like `acquire`. */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: BulkheadCallOptions,
  ): Promise<T>;
  getStats(): BulkheadStats;
  readonly on: Subscribe<BulkheadEvents>;
  /** Refuses every waiting call with BulkheadClearedError; running calls continue. */
  clear(): void;
  /** Clears the queue and refuses every later call; running calls continue. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
