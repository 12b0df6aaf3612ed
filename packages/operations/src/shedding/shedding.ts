/**
 * Which requests a service refuses when it has more than it can serve:
 *
 * - How many run is measured, not configured: the limit follows the latency of what is served.
 * - Classes are refused in their order. A class has a share of the limit, so that the lower ones never take all of it.
 * - What waits, waits briefly: once the shortest wait stays above `targetWaitMs` for `overloadAfterMs`, the newest are
 *   served first and the others are refused soon (CoDel). None waits longer than `maxWaitMs`.
 * - A machine that runs short of memory, disk, descriptors or connections refuses the lower classes before it is out.
 * - A refused request was never started.
 */
import type { EventKinds, Subscribe } from '@holdfast/foundation';

/** The classes of requests, the most important first. */
export type PriorityClass = 'critical' | 'normal' | 'background';

/** How short the scarcest resource is: `high` refuses background requests, `critical` all but critical ones. */
export type PressureLevel = 'normal' | 'high' | 'critical';

/** Why a request was refused. */
export type ShedReason = 'pressure' | 'queue-full' | 'waited-too-long' | 'closed';

/** Options of one request. */
export interface ShedCallOptions {
  /** Default `normal`. */
  priority?: PriorityClass;
  /** Passed to the work, and ends a wait, with its own reason. */
  signal?: AbortSignal;
}

/** The events of a load shedder, by name. */
export interface LoadShedderEvents {
  shed: {
    readonly priority: PriorityClass;
    readonly reason: ShedReason;
    readonly waitedMs: number;
  };
  /** Requests wait longer than they should, or no longer. */
  overload: { readonly isOverloaded: boolean };
  /** The scarcest resource changed its level. */
  pressure: { readonly level: PressureLevel; readonly resource: string };
}

export const loadShedderEventKinds: EventKinds<LoadShedderEvents> = {
  shed: true,
  overload: true,
  pressure: true,
};

/** What a load shedder runs, holds and has refused. */
export interface LoadShedderStats {
  /** How many requests may run. */
  readonly limit: number;
  readonly running: number;
  readonly waiting: number;
  readonly isOverloaded: boolean;
  readonly pressure: PressureLevel;
  readonly served: Readonly<Record<PriorityClass, number>>;
  readonly shed: Readonly<Record<PriorityClass, number>>;
}

/** Decides which requests are served. */
export interface LoadShedder {
  readonly on: Subscribe<LoadShedderEvents>;
  /** @throws LoadShedError, the error of `work`, the signal's own reason */
  execute<T>(
    work: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    options?: ShedCallOptions,
  ): Promise<T>;
  getStats(): LoadShedderStats;
  /** Refuses what waits and what comes; what runs goes on. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}
