import { InvalidOptionError } from '@holdfast/foundation';
import { ObjectNotFoundError, StorageDeniedError, StorageUnavailableError } from '../errors.ts';
import type { ObjectInfo, Storage } from '../storage.ts';
import type { KeyTurn } from '../accept/key-turns.ts';
import { inCallOrder, placeAt } from './call-order.ts';
import { isoTime } from './listing.ts';
import { keyOf } from './options.ts';
import { NotSupportedError } from './result.ts';

/** An object whose removal was accepted. */
export interface BucketRemoved {
  readonly name: string;
  readonly bucket_id: string;
  readonly id: string;
  readonly updated_at: string | null;
  readonly created_at: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Objects that are removed at a time. */
const AT_ONCE = 32;

/**
 * Removes objects; those that are known not to exist are not in the result.
 * @throws InvalidOptionError without a path, NotSupportedError for a version, the errors of `remove`
 */
export async function removeObjects(
  storage: Storage,
  bucket: string,
  paths: readonly unknown[],
): Promise<BucketRemoved[]> {
  if (!Array.isArray(paths) || paths.length === 0) {
    throw new InvalidOptionError('remove', 'paths', paths, 'a list of at least one path');
  }
  const keys = paths.map((path) => {
    if (typeof path === 'string') return keyOf(path);
    const reason = 'it knows only the current version of an object';
    throw new NotSupportedError('remove of a version', reason, 'use supabase-js itself for it');
  });
  const places = keys.map((key) => placeAt(storage, key));
  const removed: BucketRemoved[] = [];
  try {
    for (let from = 0; from < keys.length; from += AT_ONCE) {
      const some = keys.slice(from, from + AT_ONCE).map((key, index) => {
        const place = places.slice(from + index, from + index + 1);
        return removeObject(storage, bucket, key, place);
      });
      for (const each of await Promise.all(some)) if (each !== undefined) removed.push(each);
    }
  } finally {
    for (const place of places) place.end();
  }
  return removed;
}

async function removeObject(
  storage: Storage,
  bucket: string,
  key: string,
  places: readonly KeyTurn[],
): Promise<BucketRemoved | undefined> {
  let info: ObjectInfo | 'absent' | undefined;
  const look = async () => void (info = await describe(storage, key));
  // Accepted even when it is not there: another backend may have it.
  const { operationId } = await inCallOrder(places, look, () => storage.remove(key));
  if (info === 'absent') return undefined;
  const updated = isoTime(info?.lastModifiedEpochMs);
  return {
    name: key,
    bucket_id: bucket,
    id: info?.version ?? operationId,
    updated_at: updated,
    created_at: isoTime(info?.createdEpochMs) ?? updated,
    metadata: {
      size: info?.size,
      mimetype: info?.contentType,
      cacheControl: info?.cacheControl,
      eTag: info?.etag,
    },
  };
}

async function describe(storage: Storage, key: string): Promise<ObjectInfo | 'absent' | undefined> {
  try {
    return await storage.info(key);
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return 'absent';
    if (error instanceof StorageUnavailableError || error instanceof StorageDeniedError) {
      return undefined;
    }
    throw error;
  }
}
