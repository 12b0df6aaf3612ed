/**
 * One leader syncs at a time, and whoever was leader once can prove nothing with it: every lease has a token that is
 * higher than all before, and every store refuses an older one.
 */
export interface LockOptions {
  /** Ends the call, with the signal's reason. */
  readonly signal?: AbortSignal;
  /** The highest token that any store has seen; the new one is above it, also where the lock has lost its own. */
  readonly above?: number;
}

/** The port of a lock that lets one process sync at a time. */
export interface SyncLock {
  /** Such as `redis`: its name in errors. */
  readonly name: string;
  /**
   * @throws CatalogLockedError when another process holds it; CatalogLockUnavailableError when it cannot be told;
   *   CatalogLockClosedError
   */
  acquire(options?: LockOptions): Promise<SyncLease>;
  /** Gives back what is held; the signals of those leases are aborted. */
  close(): Promise<void>;
}

/** The right to sync, until it is released or lost. */
export interface SyncLease {
  readonly token: number;
  /**
   * Aborted with a CatalogLockLostError as soon as the lease may belong to another: its time, counted on the monotonic
   * clock from before the last call that renewed it, is over.
   */
  readonly signal: AbortSignal;
  /** Gives the lock to the next one; never throws. */
  release(): Promise<void>;
}
