import { InvalidOptionError } from '@holdfast/foundation';
import type { Storage } from '../storage.ts';
import { type StorageBucket, bucketOf } from './bucket.ts';
import { type BucketResult, NotSupportedError, asResult } from './result.ts';
import type { BucketUrls } from './server-calls.ts';

/** Options of `storageClient`. */
export interface StorageClientOptions {
  /**
   * `supabase.storage` itself. It answers what only a server can: URLs, signed uploads, image transformations and
   * `purgeCache`, all of them past the storage. Without it those calls are not supported.
   */
  urls?: {
    /** The functions of a bucket that make URLs. */
    from(bucket: string): BucketUrls;
  };
}

type RefusedCall = (...call: readonly unknown[]) => Promise<BucketResult<never>>;

/** What stands in the place of `supabase.storage`. */
export interface DurableStorageClient {
  /** @throws InvalidOptionError for an unknown bucket */
  from(bucket: string): StorageBucket;
  /** The calls on buckets are not supported: whoever manages buckets needs their server. */
  readonly listBuckets: RefusedCall;
  readonly getBucket: RefusedCall;
  readonly createBucket: RefusedCall;
  readonly updateBucket: RefusedCall;
  readonly emptyBucket: RefusedCall;
  readonly deleteBucket: RefusedCall;
  readonly getBucketLifecycle: RefusedCall;
  readonly updateBucketLifecycle: RefusedCall;
  readonly deleteBucketLifecycle: RefusedCall;
  readonly purgeBucketCache: RefusedCall;
}

/**
 * Buckets with the interface of supabase-js, so that `supabase.storage` becomes
 * `storageClient({ avatars: storage }, { urls: supabase.storage })` and its callers do not change.
 */
export function storageClient(
  buckets: Readonly<Record<string, Storage>>,
  { urls }: StorageClientOptions = {},
): DurableStorageClient {
  const storageOf = (owner: string, field: string, name: string): Storage => {
    const storage = Object.hasOwn(buckets, name) ? buckets[name] : undefined;
    if (storage !== undefined) return storage;
    const given = Object.keys(buckets).join(', ') || 'none';
    throw new InvalidOptionError(owner, field, name, `a bucket that was given: ${given}`);
  };
  return {
    from: (name) =>
      bucketOf({
        name,
        storage: storageOf('from', 'bucket', name),
        urls: urls?.from(name),
        other: (bucket) => storageOf('copy', 'destinationBucket', bucket),
      }),
    listBuckets: refused('listBuckets'),
    getBucket: refused('getBucket'),
    createBucket: refused('createBucket'),
    updateBucket: refused('updateBucket'),
    emptyBucket: refused('emptyBucket'),
    deleteBucket: refused('deleteBucket'),
    getBucketLifecycle: refused('getBucketLifecycle'),
    updateBucketLifecycle: refused('updateBucketLifecycle'),
    deleteBucketLifecycle: refused('deleteBucketLifecycle'),
    purgeBucketCache: refused('purgeBucketCache'),
  };
}

function refused(call: string): () => Promise<BucketResult<never>> {
  return () =>
    asResult({ throws: false }, () => {
      const reason = 'buckets are managed at their server';
      return Promise.reject(new NotSupportedError(call, reason, 'use supabase-js itself for it'));
    });
}
