import { join } from 'node:path';
import { boolean, optional } from '@holdfast/foundation';
import { type Blobs, openBlobs } from '../object-files/blobs.ts';
import {
  type Piece,
  countRule,
  piecesRule,
  removePieces,
  textRule,
} from '../object-files/pieces.ts';
import { type RecordFile, type RecordTable, openRecordFile } from '../object-files/records.ts';
import { listOf } from '../options/list-rule.ts';

export interface SupabaseBucket {
  readonly isPublic: boolean;
  readonly fileSizeLimit: number | undefined;
  readonly allowedMimeTypes: readonly string[] | undefined;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export interface SupabaseObject {
  /** The same for every upload to the key. */
  readonly id: string;
  /** New with each upload. */
  readonly version: string;
  readonly size: number;
  /** Including the quotation marks. */
  readonly etag: string;
  readonly contentType: string;
  readonly cacheControl: string;
  /** The client's metadata, as JSON. */
  readonly metadata: string;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly pieces: readonly Piece[];
}

/** A resumable upload that is not complete. */
export interface SupabaseUpload {
  readonly bucket: string;
  readonly key: string;
  readonly length: number;
  readonly isUpsert: boolean;
  readonly role: string;
  readonly contentType: string;
  readonly cacheControl: string;
  readonly metadata: string;
  readonly expiresMs: number;
  readonly pieces: readonly Piece[];
}

export interface SupabaseStore {
  readonly buckets: RecordTable<SupabaseBucket>;
  /** By `bucket/key`. */
  readonly objects: RecordTable<SupabaseObject>;
  readonly uploads: RecordTable<SupabaseUpload>;
  readonly blobs: Blobs;
  /** Replaces or deletes an object, and removes the bytes of the previous one. */
  replace(path: string, object: SupabaseObject | undefined): Promise<void>;
  close(): void;
}

/** Opens the store of a directory; without one, an empty store in memory. */
export async function openSupabaseStore(directory: string | undefined): Promise<SupabaseStore> {
  const records = openRecordFile(directory);
  const blobs = await openBlobs(directory === undefined ? undefined : join(directory, 'blobs'));
  const store = storeOf(records, blobs);
  const used = [store.objects, store.uploads].flatMap((table) =>
    table.keys().flatMap((key) => table.get(key)?.pieces ?? []),
  );
  await blobs.keepOnly(new Set(used.map(({ blob }) => blob)));
  return store;
}

function storeOf(records: RecordFile, blobs: Blobs): SupabaseStore {
  const times = { createdMs: countRule, updatedMs: countRule };
  const buckets = records.table('buckets', {
    ...times,
    isPublic: boolean(false),
    fileSizeLimit: optional(countRule),
    allowedMimeTypes: optional(listOf(textRule)),
  });
  const described = { contentType: textRule, cacheControl: textRule, metadata: textRule };
  const objects = records.table('objects', {
    ...times,
    ...described,
    id: textRule,
    version: textRule,
    size: countRule,
    etag: textRule,
    pieces: piecesRule,
  });
  const uploads = records.table('uploads', {
    ...described,
    bucket: textRule,
    key: textRule,
    length: countRule,
    isUpsert: boolean(false),
    role: textRule,
    expiresMs: countRule,
    pieces: piecesRule,
  });
  return {
    buckets,
    objects,
    uploads,
    blobs,
    async replace(path, stored) {
      const before = objects.get(path)?.pieces ?? [];
      if (stored === undefined) objects.delete(path);
      else objects.set(path, stored);
      await removePieces(blobs, before, stored?.pieces);
    },
    close: () => records.close(),
  };
}
