import type { Emitter } from '@holdfast/foundation';
import type { Connect } from '../connection/connection.ts';
import type { DatabaseEvents } from '../events.ts';
import type { ResolvedDatabaseOptions } from '../options.ts';
import type { IdlePolicy } from './idle-sweeper.ts';

export type HostPoolOptions = Pick<
  ResolvedDatabaseOptions,
  | 'max'
  | 'maxWaiting'
  | 'acquireTimeoutMs'
  | 'cancelGraceMs'
  | 'validateAfterIdleMs'
  | 'validationTimeoutMs'
  | 'idleTimeoutMs'
  | 'maxLifetimeMs'
  | 'reconnect'
  | 'resetOnRelease'
  | 'clock'
  | 'random'
>;

/** What a pool is made of. */
export interface HostPoolDeps {
  /** `host:port`. */
  readonly name: string;
  readonly connect: Connect;
  readonly options: HostPoolOptions;
  readonly policy?: IdlePolicy | undefined;
  readonly events: Emitter<DatabaseEvents>;
}

/** What a pool tells of its host. */
export interface PoolEvidence {
  /** When it last replied on any connection. */
  readonly repliedMs: number;
  /** When it last answered a message other than by an error. */
  readonly servedMs: number;
  /** When a connection was last lost that was asked, and had never answered: a pooler accepts while its server is away. */
  readonly deniedMs: number;
  /** When a connection was last lost, or left a ping without a reply. */
  readonly lostMs: number;
  /** When an attempt to connect last failed. */
  readonly failedMs: number;
  /** The server has no connection to spare, and nobody has one: callers wait for those of others. */
  readonly isFull: boolean;
  /** When a connection was last not attempted, because a function of the caller had failed. */
  readonly unaskedMs: number;
  /** While there are any, the host is not away. */
  readonly hasConnections: boolean;
}
