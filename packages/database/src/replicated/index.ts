/** A key-value register replicated over several independent Postgres servers. */
export {
  DataUnavailableError,
  MalformedRegisterError,
  QuorumUnavailableError,
  type RegionOutcome,
  ReplicatedStoreClosedError,
  WriteUnknownError,
} from './errors.ts';
export { type RegionStats } from './region-order.ts';
export { type RegionDatabase, registerTableSql } from './register-table.ts';
export { type Region, type ReplicatedStoreOptions } from './replicated-options.ts';
export {
  type NearestReadResult,
  type ReadResult,
  type ReplicatedCallOptions,
  type ReplicatedStore,
  type ReplicatedStoreEvents,
  type ReplicatedStoreStats,
  type WriteResult,
  createReplicatedStore,
} from './replicated-store.ts';
export { type Version } from './version.ts';
