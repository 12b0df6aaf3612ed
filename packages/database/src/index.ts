/**
 * A Postgres pool. It refuses to leave a caller waiting past its deadline, and to call an unknown outcome a
 * failure.
 */
export { markerTableSql } from './transactions/commit-marker.ts';
export { createDatabase } from './create-database.ts';
export type {
  AcquireOptions,
  CallOptions,
  Consistency,
  Database,
  DatabaseHealth,
  DatabaseStats,
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
  TransactionResult,
  Transaction,
  TransactionOptions,
} from './database.ts';
export type { Token } from './connection/token.ts';
export {
  AcquireTimeoutError,
  BatchFailedError,
  CallbackFailedError,
  CommitRolledBackError,
  CommitUnknownError,
  ConnectRefusedError,
  ConnectionLostError,
  DatabaseClosedError,
  DatabaseError,
  type DatabaseErrorDetails,
  NestedAcquireError,
  OuterTransactionBusyError,
  NoWritableHostError,
  type Phase,
  PoolOverloadedError,
  type PoolSnapshot,
  QueryFailedError,
  QueryTimeoutError,
  TokenLostError,
  TransactionControlError,
  TransactionEndedError,
} from './errors.ts';
export type { DatabaseEvents, HostRole } from './events.ts';
export type { TimelineFence } from './hosts/timeline-fence.ts';
export { createFileFence } from './hosts/file-fence.ts';
export type { DatabaseOptions } from './options.ts';
