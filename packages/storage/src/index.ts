/** Objects in Supabase, S3 or on disk. It never acknowledges a write that a crash could undo. */
export type {
  StorageFailure,
  BackendResult,
  BodySource,
  PutCondition,
  FailureKind,
  ListedObject,
  WriteStamp,
  ObjectContent,
  ObjectHead,
  PutOptions,
  PutReceipt,
  StorageBackend,
  UploadProgress,
} from './backend.ts';
export { type DiskBackendOptions, diskBackend } from './backends/disk/backend.ts';
export { type S3BackendOptions, s3Backend } from './backends/s3/backend.ts';
export { supabaseBackend } from './backends/supabase/backend.ts';
export type { SupabaseBackendOptions, SupabaseBucketOptions } from './backends/supabase/options.ts';
export type { Body } from './object/body.ts';
export { createStorage } from './create-storage.ts';
export {
  BodyIntegrityError,
  BodyNotRepeatableError,
  InvalidBodyError,
  InvalidKeyError,
  ObjectNotFoundError,
  ObjectRefusedError,
  StorageClosedError,
  StorageFullError,
  StorageUnavailableError,
} from './errors.ts';
export type {
  BucketCopyOptions,
  BucketObjectInfo,
  BucketUploadOptions,
  BucketUploaded,
  StorageBucket,
  BucketUrls,
} from './supabase-compat/bucket.ts';
export { type StorageClientOptions, storageClient } from './supabase-compat/client.ts';
export type { BucketEntry, BucketListOptions } from './supabase-compat/folders.ts';
export {
  type BucketError,
  NotSupportedError,
  type BucketResult,
  ObjectExistsError,
} from './supabase-compat/result.ts';
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
