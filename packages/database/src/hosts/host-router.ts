import type { CallDeadline } from '@holdfast/foundation';
import type { DatabaseHealth } from '../database.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import type { Freshness } from '../consistency.ts';

/** Acquires a connection to one kind of host. */
export type AcquireConnection = (
  deadline: CallDeadline,
) => PooledConnection | Promise<PooledConnection>;

/** Knows which host accepts writes. */
export interface HostRouter {
  /**
   * A connection to the host that accepts writes, waiting until there is one.
   * @throws as `HostPool.acquire`, and NoWritableHostError.
   */
  acquirePrimary(
    deadline: CallDeadline,
    timeoutMs?: number,
  ): PooledConnection | Promise<PooledConnection>;
  /**
   * That host rejected a write because it is a standby.
   * @returns whether another host may accept the write.
   */
  reportReadOnly(host: string): boolean;
  health(): DatabaseHealth;
  end(): void;
}

/** A host that reads can be sent to. */
export interface ReadHost {
  readonly name: string;
  /** Changes once data that was read from the host may have been lost. */
  readonly key: string;
  readonly role: 'primary' | 'standby';
  readonly acquire: AcquireConnection;
  /** A read on the host has succeeded. */
  served(): void;
  /** A read failed because of the host. */
  failed(): void;
}

/** Selects the host of a read. */
export interface ReadHostSelector {
  /**
   * @param pinned the key of the only standby that is permitted.
   * @throws NoWritableHostError when only the primary would do and there is none, or the signal's reason.
   */
  selectHost(
    freshness: Freshness,
    deadline: CallDeadline,
    pinned: string | undefined,
  ): Promise<ReadHost>;
}
