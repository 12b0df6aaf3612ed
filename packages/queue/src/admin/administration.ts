import type { PeekedKind, TopicCounts } from '../backend.ts';
import type { Priority } from '../producer/scheduling.ts';

/** A job whose attempts are used up, or that Redis rejected. */
export interface DeadJob {
  readonly id: string;
  readonly payload: unknown;
  readonly enqueuedAtMs: number;
  /** How often its handler was called. */
  readonly attempts: number;
  /** The last error of its handler, or the reply of Redis; at most 1 000 characters. */
  readonly reason: string;
  /** The stack of that error, at most 8 000 characters. */
  readonly stack?: string;
  /** The reasons of earlier failures, before it was redriven; at most 10, the oldest first. */
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

/** A job as `inspect` shows it; reading it changes nothing. */
export interface InspectedJob {
  readonly id: string;
  readonly payload: unknown;
  readonly enqueuedAtMs: number;
  /** The number of deliveries. */
  readonly attempts: number;
  readonly dueAtMs?: number;
  readonly priority?: Priority;
}
