import type { Clock, Subscribe, EventKinds } from '@holdfast/foundation';

/** `descriptors`: open files and sockets; `bytes`: of memory; `disk`: bytes on a disk. */
export type BudgetResource = 'descriptors' | 'bytes' | 'disk';
/** How much of each; what is left out is 0. */
export type BudgetAmounts = { readonly [Resource in BudgetResource]?: number };
/**
 * `free` below every mark; `evict`: what is kept without need has to go; `shed`: reservations of low priority are
 * refused; `refuse`: nothing is left, reservations wait.
 */
export type BudgetLevel = 'free' | 'evict' | 'shed' | 'refuse';

/** `shed`: of low priority above the shed mark; `too-large`: more than the limit, so that waiting cannot help. */
export type BudgetRefusal = 'shed' | 'queue-full' | 'timeout' | 'too-large';

/** Options of `createBudget`. All times in milliseconds. */
export interface BudgetOptions {
  /** Appears in errors and events. Default `budget`. */
  name?: string;
  /** At least one; only what has a limit can be reserved. */
  limits: BudgetAmounts;
  /** The share of a limit from which on `evict` is emitted. Default 0.7. */
  evictAt?: number;
  /** The share of a limit up to which low priority is served. Default 0.85. */
  shedAt?: number;
  /** How many reservations wait; further ones are refused. Default 1 000. */
  maxWaiting?: number;
  /** How long a reservation waits, in milliseconds. Default 5 000. */
  timeoutMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** Options of one reservation. */
export interface ReserveOptions {
  /** `low` is refused above `shedAt`, instead of waiting. Default `normal`. */
  priority?: 'normal' | 'low';
  /** An abort ends the wait, with the signal's own reason. */
  signal?: AbortSignal | undefined;
  /** Default: the budget's own. */
  timeoutMs?: number | undefined;
}

/** What is reserved, until it is released. */
export interface ResourceReservation {
  /** Gives all of it back; calling it again does nothing. */
  release(): void;
  /** Gives back what is over these amounts; nothing grows. */
  shrink(amounts: BudgetAmounts): void;
}

/** The events of a budget, by name. */
export interface BudgetEvents {
  level: { readonly name: string; readonly resource: BudgetResource; readonly level: BudgetLevel };
  /** So much is wanted back of what is kept without need: idle connections, cached answers. */
  evict: { readonly name: string; readonly resource: BudgetResource; readonly amount: number };
  refused: {
    readonly name: string;
    readonly resource: BudgetResource;
    readonly reason: BudgetRefusal;
  };
}

export const budgetEventKinds: EventKinds<BudgetEvents> = {
  level: true,
  evict: true,
  refused: true,
};

/** What a budget has given away and refused, read at any time. */
export interface BudgetStats {
  readonly used: Readonly<Record<BudgetResource, number>>;
  /** 0 for what has no limit and cannot be reserved. */
  readonly limits: Readonly<Record<BudgetResource, number>>;
  readonly waiting: number;
  /** Since the start. */
  readonly granted: number;
  readonly refused: number;
}

/**
 * Limits of the machine, reserved before use, all amounts of a reservation or none.
 *
 *   used    0 ────── evictAt ────── shedAt ────── limit
 *   level     free      │   evict      │   shed     │ refuse
 *   reserve   granted   │ granted,     │ low: error │ waits in order; error when the queue is full
 *                       │ `evict` event│            │ or the time is over
 *
 * A reservation never overtakes an earlier one that wants some of the same.
 */
export interface ResourceBudget {
  readonly name: string;
  readonly on: Subscribe<BudgetEvents>;
  /** A reservation, if there is room now and none waits for the same. @throws InvalidOptionError */
  tryReserve(
    amounts: BudgetAmounts,
    options?: Pick<ReserveOptions, 'priority'>,
  ): ResourceReservation | undefined;
  /**
   * A reservation, after waiting if necessary.
   * @throws BudgetExhaustedError, InvalidOptionError, NetworkClosedError, or the signal's own reason
   */
  reserve(amounts: BudgetAmounts, options?: ReserveOptions): Promise<ResourceReservation>;
  level(resource: BudgetResource): BudgetLevel;
  /** Changes a limit; what is reserved above it stays. @throws InvalidOptionError */
  setLimit(resource: BudgetResource, limit: number): void;
  getStats(): BudgetStats;
  /** Refuses what waits and what comes; reservations stay until they are released. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}
