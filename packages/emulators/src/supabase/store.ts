import { join } from 'node:path';
import {
  type OptionRule,
  InvalidOptionError,
  boolean,
  integer,
  object,
  optional,
  string,
} from '@holdfast/foundation';
import { type Blobs, openBlobs } from '../object-files/blobs.ts';
import { type RecordFile, type RecordTable, openRecordFile } from '../object-files/records.ts';
import type { Piece } from '../s3/store.ts';

export interface SupabaseBucket {
  readonly isPublic: boolean;
  readonly fileSizeLimit: number | undefined;
  readonly allowedMimeTypes: readonly string[] | undefined;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export interface SupabaseObject {
  /** Stays over every upload to its key. */
  readonly id: string;
  /** Changes with each upload. */
  readonly version: string;
  readonly size: number;
  /** With its quotation marks. */
  readonly etag: string;
  readonly contentType: string;
  readonly cacheControl: string;
  /** The client's own metadata, as JSON. */
  readonly metadata: string;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly pieces: readonly Piece[];
}

/** A resumable upload under way. */
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
  /** Puts an object in the place of the one before, whose bytes go. */
  replace(path: string, object: SupabaseObject | undefined): Promise<void>;
  close(): void;
}

const textRule: OptionRule<string> = string({ minLength: 0, maxLength: 65_536 });
const count: OptionRule<number> = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const pieceShape = { blob: textRule, size: count };

function listOf<T>(item: OptionRule<T>): OptionRule<readonly T[]> {
  return {
    permitted: 'an array',
    parse(value, field, owner) {
      if (!Array.isArray(value)) throw new InvalidOptionError(owner, field, value, this.permitted);
      return value.map((each: unknown) => item.parse(each, field, owner));
    },
  };
}

/** Opens what a folder holds; without one, an empty store in memory. */
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
  const times = { createdMs: count, updatedMs: count };
  const buckets = records.table('buckets', {
    ...times,
    isPublic: boolean(false),
    fileSizeLimit: optional(count),
    allowedMimeTypes: optional(listOf(textRule)),
  });
  const described = { contentType: textRule, cacheControl: textRule, metadata: textRule };
  const pieces = listOf(object(pieceShape));
  const objects = records.table('objects', {
    ...times,
    ...described,
    id: textRule,
    version: textRule,
    size: count,
    etag: textRule,
    pieces,
  });
  const uploads = records.table('uploads', {
    ...described,
    bucket: textRule,
    key: textRule,
    length: count,
    isUpsert: boolean(false),
    role: textRule,
    expiresMs: count,
    pieces,
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
      const kept = new Set(stored?.pieces.map(({ blob }) => blob));
      for (const { blob } of before) if (!kept.has(blob)) await blobs.remove(blob);
    },
    close: () => records.close(),
  };
}
