import type { Clock, Subscribe, EventKinds } from '@holdfast/foundation';
import type { LateValueOptions } from '../until-aborted.ts';

/** The order of waiting calls; within one class, first come, first served. */
export type CallPriority = 'high' | 'normal' | 'low';

/** Releases the slot; calling it again does nothing. */
export type Release = () => void;

/** Options of `createBulkhead`. All times in milliseconds. */
export interface BulkheadOptions {
  /** Appears in errors and events. Default `bulkhead`. */
  name?: string;
  /** How many calls run at a time. Default 10. */
  maxConcurrent?: number;
  /** How many calls wait for a slot; further calls are refused. 0 refuses at once. Default 100. */
  maxQueueSize?: number;
  /** How long a call waits for a slot, in milliseconds. Default 5 000. */
  queueTimeoutMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** Options of one call through a bulkhead. */
export interface BulkheadCallOptions {
  /** An abort removes the call from the queue at once; it rejects with the signal's own reason. */
  signal?: AbortSignal | undefined;
  /** Default `normal`. */
  priority?: CallPriority | undefined;
}

/** How a bulkhead is closed. */
export interface BulkheadCloseOptions {
  /** Lets waiting and running calls finish, for at most `deadlineMs`. Default false. */
  drain?: boolean;
  /** How long a drain may take, in milliseconds. Default 10 000. */
  deadlineMs?: number;
  /** An abort ends the drain. */
  signal?: AbortSignal | undefined;
}

/** What a bulkhead runs, holds and has refused, read at any time. */
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

/** The events of a bulkhead, by name. */
export interface BulkheadEvents {
  rejected: { name: string; reason: 'full' | 'timeout' | 'cleared' | 'closed' };
}

export const bulkheadEventKinds: EventKinds<BulkheadEvents> = { rejected: true };

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
  /**
   * Calls `fn` in a slot, which is released when the result of `fn` has settled. Rejects like `acquire`; an abort
   * rejects the call at once, and its slot stays taken until its work has settled.
   */
  execute<T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: BulkheadCallOptions & LateValueOptions<T>,
  ): Promise<T>;
  getStats(): BulkheadStats;
  readonly on: Subscribe<BulkheadEvents>;
  /** Refuses every waiting call with BulkheadClearedError; running calls continue. */
  clear(): void;
  /**
   * Refuses every later call with BulkheadClosedError. Waiting calls are refused with it as well and running ones
   * continue, or with `drain` both finish: then it resolves when none is left, or at the deadline, after which the
   * calls that still wait are refused.
   * @throws InvalidOptionError
   */
  close(options?: BulkheadCloseOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
