/**
 * A Postgres pool. It refuses to leave a caller waiting past its deadline, and to call an unknown outcome a
 * failure.
 */
export { markerTableSql } from './calls/commit-marker.ts';
export { createDatabase } from './create-database.ts';
export type {
  AcquireOptions,
  CallOptions,
  Consistency,
  Database,
  DatabaseHealth,
  DatabaseStats,
  Histogram,
  HostHealth,
  Isolation,
  Lease,
  PoolStats,
  QueryOptions,
  QueryResult,
  Queryable,
  Reader,
  Session,
  Statement,
  Token,
  Transacted,
  Transaction,
  TransactionOptions,
} from './database.ts';
export {
  AcquireTimeoutError,
  BatchFailedError,
  CommitRolledBackError,
  CommitUnknownError,
  ConnectRefusedError,
  ConnectionLostError,
  DatabaseClosedError,
  DatabaseError,
  type DatabaseErrorDetails,
  NestedAcquireError,
  NoWritableHostError,
  type Phase,
  PoolOverloadedError,
  type PoolSnapshot,
  QueryFailedError,
  QueryTimeoutError,
  TransactionEndedError,
} from './errors.ts';
export type { DatabaseEvents, HostRole } from './events.ts';
export type { TimelineFence } from './hosts/fence.ts';
export { createFileFence } from './hosts/file-fence.ts';
export type { DatabaseOptions } from './options.ts';
export {
  DataUnavailableError,
  MalformedRegisterError,
  QuorumUnavailableError,
  type RegionOutcome,
  ReplicatedStoreClosedError,
  WriteUnknownError,
} from './replicated/errors.ts';
export { type RegionStanding } from './replicated/region-order.ts';
export { type RegionDatabase, registerTableSql } from './replicated/register-table.ts';
export { type Region, type ReplicatedStoreOptions } from './replicated/replicated-options.ts';
export {
  type NearestReading,
  type Reading,
  type ReplicatedCallOptions,
  type ReplicatedStore,
  type ReplicatedStoreEvents,
  type ReplicatedStoreStats,
  type Written,
  createReplicatedStore,
} from './replicated/replicated-store.ts';
export { type Version } from './replicated/version.ts';
