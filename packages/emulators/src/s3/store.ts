import { join } from 'node:path';
import { type OptionRule, InvalidOptionError, object, optional } from '@holdfast/foundation';
import { type Blobs, openBlobs } from '../object-files/blobs.ts';
import {
  type Piece,
  countRule,
  piecesRule,
  removePieces,
  sizeOf,
  textRule,
} from '../object-files/pieces.ts';
import { CHECKSUMS, type ChecksumName } from './wire/checksums.ts';
import { type RecordFile, type RecordTable, openRecordFile } from '../object-files/records.ts';
import { s3Error } from './wire/error.ts';

export interface StoredChecksum {
  readonly name: ChecksumName;
  readonly value: string;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
}

export interface StoredBucket {
  /** The access key of the creator. */
  readonly owner: string;
  readonly createdMs: number;
  readonly policy: string | undefined;
}

/** The metadata of an object. */
export interface ObjectDescription {
  /** Headers that reads return unchanged, such as `content-type`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The client's metadata, names without the `x-amz-meta-` prefix. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface StoredObject extends ObjectDescription {
  readonly etag: string;
  readonly size: number;
  readonly modifiedMs: number;
  readonly checksum: StoredChecksum | undefined;
  readonly pieces: readonly Piece[];
}

export interface StoredUpload extends ObjectDescription {
  readonly bucket: string;
  readonly key: string;
  readonly initiatedMs: number;
  readonly checksumName: ChecksumName | undefined;
  readonly checksumType: 'FULL_OBJECT' | 'COMPOSITE';
}

export interface StoredPart extends Piece {
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum: string | undefined;
}

/** All data of the server. Changes of the tables are synchronous, so that no request sees half of one. */
export interface ObjectStore {
  readonly buckets: RecordTable<StoredBucket>;
  /** By `bucket/key`. */
  readonly objects: RecordTable<StoredObject>;
  readonly uploads: RecordTable<StoredUpload>;
  /** By `upload/part`, the part number with leading zeros. */
  readonly parts: RecordTable<StoredPart>;
  readonly blobs: Blobs;
  /** Bytes of all objects and parts. */
  readonly storedBytes: number;
  /** Replaces or deletes a record, and removes the bytes of the previous one. */
  replace<T>(table: RecordTable<T>, key: string, record: T | undefined): Promise<void>;
  /** Deletes the record of a part whose bytes now belong to an object. */
  releaseBytes(part: string): void;
  close(): void;
}

const stringsRule: OptionRule<Readonly<Record<string, string>>> = {
  permitted: 'an object of strings',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null) throw invalid(this, value, field, owner);
    const strings: Record<string, string> = {};
    for (const [name, text] of Object.entries(value)) {
      if (typeof text !== 'string') throw invalid(this, text, `${field}.${name}`, owner);
      strings[name] = text;
    }
    return strings;
  },
};

function invalid(rule: OptionRule<unknown>, value: unknown, field: string, owner: string): Error {
  return new InvalidOptionError(owner, field, value, rule.permitted);
}

const checksumName: OptionRule<ChecksumName> = {
  permitted: `one of ${CHECKSUMS.join(', ')}`,
  parse(value, field, owner) {
    const name = CHECKSUMS.find((known) => known === value);
    if (name === undefined) throw invalid(this, value, field, owner);
    return name;
  },
};
const checksumType: OptionRule<'FULL_OBJECT' | 'COMPOSITE'> = {
  permitted: 'FULL_OBJECT or COMPOSITE',
  parse: (value) => (value === 'COMPOSITE' ? value : 'FULL_OBJECT'),
};

/** Opens the store of a directory; without one, an empty store in memory. */
export async function openStore(directory: string | undefined): Promise<ObjectStore> {
  const records = openRecordFile(directory);
  const blobs = await openBlobs(directory === undefined ? undefined : join(directory, 'blobs'));
  const store = storeOf(records, blobs);
  const used = [store.objects, store.parts].flatMap((table) =>
    table.keys().flatMap((key) => piecesOf(table.get(key))),
  );
  await blobs.keepOnly(new Set(used.map(({ blob }) => blob)));
  return store;
}

function storeOf(records: RecordFile, blobs: Blobs): ObjectStore {
  const buckets = records.table('buckets', {
    owner: textRule,
    createdMs: countRule,
    policy: optional(textRule),
  });
  const described = { headers: stringsRule, metadata: stringsRule };
  const checksumShape = { name: checksumName, value: textRule, type: checksumType };
  const objects = records.table('objects', {
    ...described,
    etag: textRule,
    size: countRule,
    modifiedMs: countRule,
    checksum: optional({ ...object(checksumShape), permitted: 'a checksum' }),
    pieces: piecesRule,
  });
  const uploads = records.table('uploads', {
    ...described,
    bucket: textRule,
    key: textRule,
    initiatedMs: countRule,
    checksumName: optional(checksumName),
    checksumType,
  });
  const parts = records.table('parts', {
    blob: textRule,
    size: countRule,
    etag: textRule,
    modifiedMs: countRule,
    checksum: optional(textRule),
  });
  let storedBytes = 0;
  for (const table of [objects, parts]) {
    for (const key of table.keys()) storedBytes += table.get(key)?.size ?? 0;
  }
  return {
    buckets,
    objects,
    uploads,
    parts,
    blobs,
    get storedBytes() {
      return storedBytes;
    },
    async replace(table, key, record) {
      const before = piecesOf(table.get(key));
      if (record === undefined) table.delete(key);
      else table.set(key, record);
      const after = piecesOf(record);
      storedBytes += sizeOf(after) - sizeOf(before);
      await removePieces(blobs, before, after);
    },
    releaseBytes(part) {
      storedBytes -= parts.get(part)?.size ?? 0;
      parts.delete(part);
    },
    close: () => records.close(),
  };
}

function piecesOf(record: unknown): readonly Piece[] {
  if (typeof record !== 'object' || record === null) return [];
  if ('pieces' in record && Array.isArray(record.pieces)) return record.pieces.filter(isPiece);
  return isPiece(record) ? [record] : [];
}

function isPiece(value: unknown): value is Piece {
  if (typeof value !== 'object' || value === null || !('blob' in value) || !('size' in value)) {
    return false;
  }
  return typeof value.blob === 'string' && typeof value.size === 'number';
}

/** @throws S3Error NoSuchBucket */
export function bucketNamed(store: ObjectStore, name: string): StoredBucket {
  const bucket = store.buckets.get(name);
  if (bucket === undefined) throw s3Error('NoSuchBucket');
  return bucket;
}
