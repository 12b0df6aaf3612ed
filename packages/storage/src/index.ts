/** Objects in Supabase, S3 or on disk. It never acknowledges a write that a crash could undo. */
export type {
  StorageFailure,
  BackendResult,
  BodySource,
  PutCondition,
  FailureKind,
  ListedObject,
  ObjectDetails,
  WriteStamp,
  ObjectContent,
  ObjectHead,
  PutOptions,
  PutReceipt,
  StorageBackend,
  UploadProgress,
} from './backend.ts';
export { type DiskBackendOptions, diskBackend } from './backends/disk/backend.ts';
export { type S3BackendOptions, type S3ClientLike, s3Backend } from './backends/s3/backend.ts';
export { supabaseBackend } from './backends/supabase/backend.ts';
export type { SupabaseBackendOptions, SupabaseBucketOptions } from './backends/supabase/options.ts';
export type { Body } from './object/body.ts';
export { createStorage } from './create-storage.ts';
export {
  BodyIntegrityError,
  BodyNotRepeatableError,
  InvalidBodyError,
  InvalidKeyError,
  MoveUnfinishedError,
  ObjectNotFoundError,
  ObjectRefusedError,
  StorageClosedError,
  StorageDeniedError,
  StorageFullError,
  StorageUnavailableError,
} from './errors.ts';
export type { BucketBody } from './supabase-compat/bodies.ts';
export type {
  BucketDownloadOptions,
  BucketFetchParameters,
  BucketObjectInfo,
  BucketUploadOptions,
  BucketUploaded,
  StorageBucket,
} from './supabase-compat/bucket.ts';
export {
  type DurableStorageClient,
  type StorageClientOptions,
  storageClient,
} from './supabase-compat/client.ts';
export type { BucketDownload } from './supabase-compat/download.ts';
export type {
  BucketEntry,
  BucketFileMetadata,
  BucketListOptions,
  BucketListV2Options,
  BucketObject,
  BucketPage,
} from './supabase-compat/listing.ts';
export type { BucketRemoved } from './supabase-compat/removal.ts';
export {
  BucketAbsentError,
  type BucketError,
  NotSupportedError,
  type BucketResult,
  ObjectExistsError,
} from './supabase-compat/result.ts';
export type { BucketUrls } from './supabase-compat/server-calls.ts';
export type { BucketCopyOptions } from './supabase-compat/transfer.ts';
export type {
  ConflictPolicy,
  LocalOptions,
  StorageJournalOptions,
  StorageOptions,
} from './options.ts';
export type {
  BackendHealth,
  BackendStats,
  StorageCallOptions,
  Conflict,
  ConflictResolution,
  Download,
  ListCallOptions,
  Listing,
  CopyOptions,
  MoveOptions,
  ObjectInfo,
  PendingWrite,
  Storage,
  StorageEvents,
  StorageHealth,
  StorageStats,
  Stored,
  UploadOptions,
  WriteOptions,
} from './storage.ts';
