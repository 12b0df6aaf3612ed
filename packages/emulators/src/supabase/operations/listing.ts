import type { HttpResponse } from '../../serving/http-listener.ts';
import { keysOf, pageOf } from '../../object-files/key-page.ts';
import { byBytes } from '../../object-files/records.ts';
import {
  type StorageCall,
  bucketOf,
  fieldsOf,
  isoTime,
  jsonResponse,
  canRead,
} from './storage-call.ts';
import { supabaseError } from '../error.ts';
import type { SupabaseObject } from '../store.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

interface Row {
  readonly name: string;
  readonly id: string | null;
  readonly version?: string;
  readonly updated_at: string | null;
  readonly created_at: string | null;
  readonly last_accessed_at: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/** An object as listings and removals return it. */
export function rowOf(name: string, object: SupabaseObject): Row {
  const [updated, created] = [isoTime(object.updatedMs), isoTime(object.createdMs)];
  return {
    name,
    id: object.id,
    version: object.version,
    updated_at: updated,
    created_at: created,
    last_accessed_at: created,
    metadata: {
      eTag: object.etag,
      size: object.size,
      mimetype: object.contentType,
      cacheControl: object.cacheControl,
      lastModified: updated,
      contentLength: object.size,
      httpStatusCode: 200,
    },
  };
}

function folderRow(name: string): Row {
  const none = { updated_at: null, created_at: null, last_accessed_at: null };
  return { name, id: null, ...none, metadata: null };
}

/** The keys of a bucket that the role may read. */
function readableKeys(call: StorageCall): string[] {
  const { store, bucket } = call;
  return keysOf(store.objects, bucket).filter((key) => canRead(call, bucket, key));
}

/** Lists a folder: its folders first, then its objects, by the last segment of their keys. */
export async function list(call: StorageCall): Promise<HttpResponse> {
  const fields = await fieldsOf(call);
  const { store, bucket } = call;
  bucketOf(call, bucket);
  const given = textIn(fields['prefix']);
  const prefix = given === '' || given.endsWith('/') ? given : `${given}/`;
  const search = textIn(fields['search']).toLowerCase();
  const page = pageOf(readableKeys(call), { prefix, delimiter: '/', after: '', maxKeys: Infinity });
  const isFound = (name: string): boolean => name.toLowerCase().startsWith(search);
  const nameOf = (key: string): string => key.slice(prefix.length);
  const folders = page.prefixes.map((each) => folderRow(nameOf(each).slice(0, -1)));
  const objects = page.keys.flatMap((key) => {
    const object = store.objects.get(`${bucket}/${key}`);
    return object === undefined ? [] : [rowOf(nameOf(key), object)];
  });
  const { column, isAscending } = orderIn(fields['sortBy']);
  const byColumn = (a: Row, b: Row): number =>
    (byBytes(String(a[column]), String(b[column])) || byBytes(a.name, b.name)) *
    (isAscending ? 1 : -1);
  const all = [...folders.toSorted(byColumn), ...objects.toSorted(byColumn)];
  const offset = countIn(fields['offset'], 'offset', 0);
  const limit = Math.min(countIn(fields['limit'], 'limit', DEFAULT_LIMIT), MAX_LIMIT);
  return jsonResponse(all.filter(({ name }) => isFound(name)).slice(offset, offset + limit));
}

/** Lists keys in pages, sorted by bytes, with or without folders. */
export async function listV2(call: StorageCall): Promise<HttpResponse> {
  const fields = await fieldsOf(call);
  const { store, bucket } = call;
  bucketOf(call, bucket);
  const cursor = textIn(fields['cursor']);
  const page = pageOf(readableKeys(call), {
    prefix: textIn(fields['prefix']),
    delimiter: fields['with_delimiter'] === true ? '/' : '',
    after: Buffer.from(cursor, 'base64url').toString('utf8'),
    maxKeys: Math.min(countIn(fields['limit'], 'limit', MAX_LIMIT), MAX_LIMIT),
  });
  const objects = page.keys.flatMap((key) => {
    const object = store.objects.get(`${bucket}/${key}`);
    return object === undefined ? [] : [{ ...rowOf(key, object), key }];
  });
  return jsonResponse({
    hasNext: page.next !== undefined,
    ...(page.next !== undefined && {
      nextCursor: Buffer.from(page.next).toString('base64url'),
    }),
    folders: page.prefixes.map((name) => ({ name, key: name })),
    objects,
  });
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function countIn(value: unknown, name: string, fallback: number): number {
  if (value === undefined || value === null) return fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw supabaseError('InvalidParameter', `body/${name} must be a whole number`);
}

const COLUMNS = ['name', 'updated_at', 'created_at', 'last_accessed_at'] as const;

function orderIn(sortBy: unknown): { column: (typeof COLUMNS)[number]; isAscending: boolean } {
  const { column, order } = { column: 'name', order: 'asc', ...objectIn(sortBy) };
  const known = COLUMNS.find((each) => each === column);
  if (known === undefined)
    throw supabaseError('InvalidParameter', 'body/sortBy/column is not known');
  return { column: known, isAscending: order !== 'desc' };
}

function objectIn(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}
