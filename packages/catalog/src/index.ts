/** A catalog that is always searchable: whole generations from an API, through cache and backup, whatever fails. */
export type {
  Bundle,
  BundleRow,
  CatalogQuery,
  Country,
  Facet,
  FacetCount,
  GenerationManifest,
  GroupManifest,
  AnswerOrigin,
  SearchResult,
  SortKey,
  Source,
} from './catalog.ts';

export { createCatalogClient } from './client/create-catalog-client.ts';
export type {
  CatalogClient,
  CatalogClientEvents,
  CatalogClientOptions,
  CatalogClientStats,
  CatalogFetch,
  CatalogItem,
  CatalogPage,
  FetchBundlesOptions,
  FetchedPage,
  GroupFailed,
  GroupFetched,
  InterruptedFetch,
  PageCounts,
  PageDigest,
  Paging,
} from './client/catalog-client.ts';
export {
  CatalogApiError,
  CatalogClientClosedError,
  CatalogDriftError,
  CatalogGroupError,
  CatalogMalformedError,
  CatalogRateLimitedError,
  CatalogRequestRefusedError,
  CatalogRowsRejectedError,
  CatalogServerError,
  CatalogShrunkError,
  CatalogTimeoutError,
  CatalogUnauthorizedError,
  CatalogUnreachableError,
  type DriftKind,
} from './client/errors.ts';
export type { RejectedRow, RejectionReport } from './client/rows/rejections.ts';
export {
  type ChunkPlace,
  type DecodeOptions,
  type EncodeOptions,
  decodeBundle,
  decodeChunk,
  encodeChunk,
} from './documents/chunk.ts';
export type { Codec } from './documents/codec.ts';
export { CatalogChunkError, CatalogDocumentError, type ChunkDefect } from './documents/errors.ts';
export { type Backup, createBackup } from './backup/backup.ts';
export type { BackupOptions } from './backup/options.ts';
export type { BackupReader, ReadOptions } from './backup/backup-reader.ts';
export type { BackupSalvage, SalvageReport } from './backup/salvage.ts';
export type { WrittenBackup } from './backup/write-backup.ts';
export {
  type BackupAttempt,
  type BackupDefect,
  type BackupOrder,
  type BackupWriteFailure,
  CatalogBackupClosedError,
  CatalogBackupDamagedError,
  CatalogBackupFencedError,
  CatalogBackupLockedError,
  CatalogBackupUnavailableError,
  CatalogBackupWriteError,
} from './backup/errors.ts';
export { encodeBatch } from './search/build/batch.ts';
export { type BuildIndexOptions, buildIndex } from './search/build/build-index.ts';
export { type BuiltIndex, IndexBuilder } from './search/build/index-builder.ts';
export { type CatalogIndex, openIndex } from './search/catalog-index.ts';
export {
  IndexBuildError,
  type IndexBuildFailure,
  IndexClosedError,
  InvalidIndexError,
  InvalidQueryError,
  NoIndexError,
  OutdatedIndexError,
} from './search/errors.ts';
export type { IndexBuffers } from './search/format/index-buffers.ts';
export { IndexHolder, type IndexHolderStats, type IndexSnapshot } from './search/index-holder.ts';
export { type ParsedQuery, parseQuery, parseQueryString } from './search/query/parse-query.ts';
export { createCatalogSync } from './sync/create-catalog-sync.ts';
export type { CatalogSyncOptions } from './sync/options.ts';
export type {
  CatalogSync,
  KeptGroup,
  SyncOptions,
  SyncOutcome,
  SyncPhase,
  SyncProgress,
  TargetFailure,
} from './sync/catalog-sync.ts';
export {
  CatalogGenerationShrunkError,
  CatalogPagesError,
  CatalogPublishError,
  CatalogSyncClosedError,
  type PagesFailure,
} from './sync/errors.ts';
export {
  CatalogFencedError,
  CatalogStoreError,
  type FenceReason,
  type StoreFailure,
} from './generations/errors.ts';
export type {
  GenerationPlace,
  GenerationReader,
  GenerationStore,
  StagedGeneration,
  StoreCallOptions,
} from './generations/generation-store.ts';
export { createCatalog } from './serving/create-catalog.ts';
export {
  CatalogClosedError,
  CatalogTierTimeoutError,
  CatalogUnavailableError,
} from './serving/errors.ts';
export type { CatalogDeadlines, CatalogOptions } from './serving/options.ts';
export {
  type RowRebuilder,
  type RowRebuilderOptions,
  createRowRebuilder,
} from './serving/rebuild-rows.ts';
export type {
  BundleAnswer,
  Catalog,
  CatalogAnswer,
  CatalogCallOptions,
  CatalogHealth,
  CatalogStatus,
  ServedCatalogEvents,
  TierAttempt,
} from './serving/served-catalog.ts';
export {
  CatalogLockClosedError,
  CatalogLockLostError,
  CatalogLockUnavailableError,
  CatalogLockedError,
} from './lock/errors.ts';
export type { LockOptions, SyncLease, SyncLock } from './lock/sync-lock.ts';
