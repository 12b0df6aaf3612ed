import type { CallDeadline } from '@holdfast/foundation';
import type { DatabaseHealth } from '../database.ts';
import type { Token } from '../connection/token.ts';
import { isUnknown } from '../lsn.ts';
import type { LinkRequirement } from '../pool/link-state.ts';
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
   * The server behind this connection is a standby: it rejected a write, or a read that needs the primary.
   * @returns whether the statement may go to another connection at once.
   */
  reportReadOnly(connection: ReportedConnection, by: 'write' | 'read'): boolean;
  health(): DatabaseHealth;
  end(): void;
}

/** A connection that does not lead to a primary. */
export type ReportedConnection = Pick<PooledConnection, 'host' | 'createdAtMs'>;

/** A host that reads can be sent to. */
export interface ReadHost {
  readonly name: string;
  /** Changes once data that was read from the host may have been lost. */
  readonly key: string;
  readonly role: 'primary' | 'standby';
  readonly acquire: AcquireConnection;
  /** What each connection has to meet by itself. */
  readonly requirement: LinkRequirement;
  /** How long a statement waits for a connection that meets it. */
  readonly waitMs: number;
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

/** What a read on the primary requires of its connection. */
export function primaryFor(freshness: Freshness): LinkRequirement {
  if (freshness.kind === 'any') return { kind: 'none' };
  return { kind: 'primary', timeline: timelineOf(freshness), seen: seenBy(freshness) };
}

/** The position whose loss a primary must not have. */
function seenBy(freshness: Freshness): Token | undefined {
  return freshness.kind === 'after' || freshness.kind === 'strong' ? freshness.seen : undefined;
}

/** As the read, but on a primary only. */
export function onPrimary(freshness: Freshness): Freshness {
  return { kind: 'strong', timeline: timelineOf(freshness), seen: seenBy(freshness) };
}

/** The lowest timeline of a primary that may serve the read. */
function timelineOf(freshness: Freshness): number {
  if (freshness.kind === 'after') return freshness.token.timeline;
  return freshness.kind === 'strong' ? (freshness.timeline ?? 0) : 0;
}

/** What a connection of a name that may lead to any server has to meet. */
export function requirementOf(freshness: Freshness): LinkRequirement {
  if (freshness.kind !== 'after' || isUnknown(freshness.token)) {
    return primaryFor(freshness);
  }
  const { token, position, seen } = freshness;
  if (position === undefined) return primaryFor(freshness);
  return { kind: 'replayed', token, position, seen };
}
