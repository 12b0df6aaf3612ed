/** Objects in Supabase, S3 or on disk. It refuses to acknowledge a write that a crash could undo. */
export type {
  BackendFailure,
  BackendResult,
  BodySource,
  Condition,
  FailureKind,
  ListedObject,
  Mark,
  ObjectContent,
  ObjectHead,
  PutOptions,
  PutReceipt,
  StorageBackend,
  UploadProgress,
} from './backend.ts';
export { type DiskBackendOptions, diskBackend } from './backends/disk.ts';
export { type S3BackendOptions, s3Backend } from './backends/s3/backend.ts';
export { supabaseBackend } from './backends/supabase/backend.ts';
export type { SupabaseBackendOptions, SupabaseTuning } from './backends/supabase/options.ts';
export type { Body } from './body.ts';
export { createStorage } from './create-storage.ts';
export {
  BodyCutError,
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
  FacadeDestination,
  FacadeInfo,
  FacadeUploadOptions,
  FacadeUploaded,
  StorageBucket,
  UrlMaker,
} from './facade/bucket.ts';
export { type StorageClientOptions, storageClient } from './facade/client.ts';
export type { FacadeEntry, FacadeListOptions } from './facade/folders.ts';
export {
  type FacadeError,
  FacadeNotOfferedError,
  type FacadeResult,
  ObjectExistsError,
} from './facade/result.ts';
export type {
  ConflictPolicy,
  LocalOptions,
  StorageJournalOptions,
  StorageOptions,
} from './options.ts';
export type {
  BackendHealth,
  BackendStats,
  CallOptions,
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
