import { InvalidOptionError } from '@holdfast/foundation';
import type { Storage } from '../storage.ts';
import { type StorageBucket, type BucketUrls, bucketOf } from './bucket.ts';

export interface StorageClientOptions {
  /**
   * `supabase.storage` itself, which then makes the URLs of `getPublicUrl`, `createSignedUrl` and
   * `createSignedUrls`. Without it those calls are not supported.
   */
  urls?: { from(bucket: string): BucketUrls };
}

/**
 * Buckets with the interface of supabase-js, so that `supabase.storage` becomes
 * `storageClient({ avatars: storage }, { urls: supabase.storage })` and its callers do not change.
 */
export function storageClient(
  buckets: Readonly<Record<string, Storage>>,
  { urls }: StorageClientOptions = {},
): {
  /** @throws InvalidOptionError for an unknown bucket */
  from(bucket: string): StorageBucket;
} {
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
  };
}
