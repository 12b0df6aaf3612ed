import type { Limit } from './limit-options.ts';

/** A job that is to start, or that runs. */
export interface LimitedSlot {
  /** Names the job in its topic: the same for a consumer that takes it over. */
  readonly slot: string;
  /** The key that it counts for, where there are limits by key. */
  readonly key: string | undefined;
}

/** What consumers ask for the jobs that they have taken. */
export interface PermitRequest {
  readonly topic: string;
  readonly limits: { readonly topic: Limit; readonly key: Limit };
  /** How long a slot is kept for a consumer that does not renew it. */
  readonly leaseMs: number;
  /** The jobs that are to start, in their order. */
  readonly jobs: readonly LimitedSlot[];
  /** The jobs of this consumer that run: their slots are renewed first, also those that the store has forgotten. */
  readonly running: readonly LimitedSlot[];
}

/**
 * Whether a job may start: `granted`; or not yet, because of the topic's limit or of its key's, for about so long.
 */
export type StartPermit =
  | { readonly kind: 'granted' }
  | { readonly kind: 'topic' | 'key'; readonly waitMs: number };

/** Grants what all consumers of a topic share. */
export interface LimitStore {
  /** Answers for each of the jobs, in one atomic step. @throws BackendError */
  acquire(request: PermitRequest): Promise<StartPermit[]>;
  /** These jobs have ended. @throws BackendError */
  release(topic: string, jobs: readonly LimitedSlot[]): Promise<void>;
}

/** A limit is granted in this many parts of a second, which keeps bursts small. */
const PARTS_PER_SECOND = 10;
const SECOND_MS = 1_000;
/** A consumer that waits for a slot of another process asks this often. */
export const SLOT_WAIT_MS = 100;
/** The longest that a job over the limit of its key is put aside. */
export const MAX_POSTPONED_MS = 60_000;

/** The pace of a limit: the time between two starts, and how far ahead of it a burst may be. */
export function paceOf({ perSecond }: Limit): {
  readonly intervalMs: number;
  readonly aheadMs: number;
} {
  if (perSecond === 0) return { intervalMs: 0, aheadMs: 0 };
  const intervalMs = SECOND_MS / perSecond;
  const burst = Math.max(1, Math.floor(perSecond / PARTS_PER_SECOND));
  return { intervalMs, aheadMs: (burst - 1) * intervalMs };
}
