import { join } from 'node:path';
import {
  type OptionRule,
  InvalidOptionError,
  integer,
  object,
  optional,
  string,
} from '@holdfast/foundation';
import { type Blobs, type Span, openBlobs } from '../object-files/blobs.ts';
import { CHECKSUMS, type ChecksumName } from './wire/checksums.ts';
import { type RecordFile, type RecordTable, openRecordFile } from '../object-files/records.ts';
import { s3Error } from './wire/error.ts';

/** Bytes of an object that were uploaded together. */
export interface Piece {
  readonly blob: string;
  readonly size: number;
}

export interface StoredChecksum {
  readonly name: ChecksumName;
  readonly value: string;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
}

export interface StoredBucket {
  /** The access key that made it. */
  readonly owner: string;
  readonly createdMs: number;
  readonly policy: string | undefined;
}

/** What a client says about an object besides its bytes. */
export interface ObjectDescription {
  /** Headers given back as they came, such as `content-type`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Its own metadata, without the prefix of the headers. */
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

/** Everything the server keeps. A change to the tables is one turn: nobody sees half of it. */
export interface ObjectStore {
  readonly buckets: RecordTable<StoredBucket>;
  /** By `bucket/key`. */
  readonly objects: RecordTable<StoredObject>;
  readonly uploads: RecordTable<StoredUpload>;
  /** By `upload/part`, the part with leading zeros. */
  readonly parts: RecordTable<StoredPart>;
  readonly blobs: Blobs;
  /** Bytes of all objects and parts. */
  readonly storedBytes: number;
  /** Puts a record in the place of the one before, whose bytes go. */
  replace<T>(table: RecordTable<T>, key: string, record: T | undefined): Promise<void>;
  /** Forgets a part whose bytes belong to an object now. */
  handOver(part: string): void;
  close(): void;
}

const NAME_CHARACTERS = 4_096;
const MAX_BYTES = Number.MAX_SAFE_INTEGER;

const stringsRule: OptionRule<Readonly<Record<string, string>>> = {
  permitted: 'an object of strings',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null) throw invalid(this, value, field, owner);
    const read: Record<string, string> = {};
    for (const [name, word] of Object.entries(value)) {
      if (typeof word !== 'string') throw invalid(this, word, `${field}.${name}`, owner);
      read[name] = word;
    }
    return read;
  },
};

function invalid(rule: OptionRule<unknown>, value: unknown, field: string, owner: string): Error {
  return new InvalidOptionError(owner, field, value, rule.permitted);
}

const shortText: OptionRule<string> = string({ minLength: 0, maxLength: NAME_CHARACTERS });
const count: OptionRule<number> = integer({ min: 0, max: MAX_BYTES });
const pieceShape = { blob: shortText, size: count };
const pieces: OptionRule<readonly Piece[]> = {
  permitted: 'an array of pieces',
  parse(value, field, owner) {
    if (!Array.isArray(value)) throw invalid(this, value, field, owner);
    return value.map((piece: unknown, at) =>
      object(pieceShape).parse(piece, `${field}[${at}]`, owner),
    );
  },
};
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

/** Opens what a folder holds; without one, an empty store in memory. */
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
    owner: shortText,
    createdMs: count,
    policy: optional(string({ maxLength: 65_536 })),
  });
  const described = { headers: stringsRule, metadata: stringsRule };
  const checksumShape = { name: checksumName, value: shortText, type: checksumType };
  const objects = records.table('objects', {
    ...described,
    etag: shortText,
    size: count,
    modifiedMs: count,
    checksum: optional({ ...object(checksumShape), permitted: 'a checksum' }),
    pieces,
  });
  const uploads = records.table('uploads', {
    ...described,
    bucket: shortText,
    key: shortText,
    initiatedMs: count,
    checksumName: optional(checksumName),
    checksumType,
  });
  const parts = records.table('parts', {
    ...pieceShape,
    etag: shortText,
    modifiedMs: count,
    checksum: optional(shortText),
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
      const kept = new Set(after.map(({ blob }) => blob));
      for (const { blob } of before) if (!kept.has(blob)) await blobs.remove(blob);
    },
    handOver(part) {
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

function sizeOf(these: readonly Piece[]): number {
  return these.reduce((sum, { size }) => sum + size, 0);
}

/** Where the bytes from `first` to `last` of an object lie. */
export function spansOf(these: readonly Piece[], first: number, last: number): Span[] {
  const spans: Span[] = [];
  let at = 0;
  for (const { blob, size } of these) {
    const span = { blob, first: Math.max(0, first - at), last: Math.min(size, last - at + 1) - 1 };
    if (span.first <= span.last) spans.push(span);
    at += size;
  }
  return spans;
}

/** @throws S3Error NoSuchBucket */
export function bucketNamed(store: ObjectStore, name: string): StoredBucket {
  const bucket = store.buckets.get(name);
  if (bucket === undefined) throw s3Error('NoSuchBucket');
  return bucket;
}
