import type { HttpResponse } from '../../serving/http-listener.ts';
import { keysOf } from '../../object-files/key-page.ts';
import { byBytes } from '../../object-files/records.ts';
import {
  type StorageCall,
  fieldsOf,
  isoTime,
  jsonResponse,
  canRead,
  textIn,
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

/** An object that is listed, and where it stands. */
interface Item {
  readonly key: string;
  readonly object: SupabaseObject;
}

/** The objects below a prefix that the role may read; of an absent bucket, none. */
function itemsOf(call: StorageCall, prefix: string): Item[] {
  const { store, bucket } = call;
  return keysOf(store.objects, bucket).flatMap((key) => {
    const object = store.objects.get(`${bucket}/${key}`);
    const isListed = key.startsWith(prefix) && canRead(call, bucket, key);
    return object === undefined || !isListed ? [] : [{ key, object }];
  });
}

/** Lists a folder: by name folders and objects together, by a date the folders first. */
export async function list(call: StorageCall): Promise<HttpResponse> {
  const fields = await fieldsOf(call);
  const given = textIn(fields, 'prefix');
  const prefix = given === '' || given.endsWith('/') ? given : `${given}/`;
  const search = optionalText(fields['search']).toLowerCase();
  const { column, sign } = orderIn(fields['sortBy'], LIST_COLUMNS);
  const offset = countIn(fields['offset'], 'offset', 0, 0);
  const limit = Math.min(countIn(fields['limit'], 'limit', 1, DEFAULT_LIMIT), MAX_LIMIT);
  const rows = new Map<string, Row>();
  for (const { key, object } of itemsOf(call, prefix)) {
    const rest = key.slice(prefix.length);
    const slash = rest.indexOf('/');
    const row = slash === -1 ? rowOf(rest, object) : folderRow(rest.slice(0, slash));
    if (row.name.toLowerCase().startsWith(search)) rows.set(`${slash === -1} ${row.name}`, row);
  }
  const rankOf = ({ id }: Row): number => (column === 'name' || id === null ? 0 : 1);
  const compare = (left: Row, right: Row): number =>
    rankOf(left) - rankOf(right) ||
    sign * byBytes(String(left[column]), String(right[column])) ||
    sign * byCollation(left.name, right.name);
  const compareNames = (left: Row, right: Row): number => sign * byCollation(left.name, right.name);
  const sorted = [...rows.values()].toSorted(column === 'name' ? compareNames : compare);
  return jsonResponse(sorted.slice(offset, offset + limit));
}

/** Lists keys in pages, with or without folders; a folder stands where its first object would. */
export async function listV2(call: StorageCall): Promise<HttpResponse> {
  const fields = await fieldsOf(call);
  const prefix = optionalText(fields['prefix']);
  const isGrouped = fields['with_delimiter'] === true;
  const order = orderIn(fields['sortBy'], LIST_V2_COLUMNS);
  const limit = Math.min(countIn(fields['limit'], 'limit', 1, MAX_LIMIT), MAX_LIMIT);
  const cursor = optionalText(fields['cursor']);
  const after = cursor === '' ? undefined : placeIn(cursor);
  const compare = (left: Place, right: Place): number =>
    order.sign * (byBytes(left.sort, right.sort) || byBytes(left.name, right.name));
  const places = itemsOf(call, prefix).map(({ key, object }) => placeOf(key, object, order.column));
  const sorted = places.toSorted(compare);
  const listed = isGrouped ? groupedBelow(prefix, sorted) : sorted;
  const rest = after === undefined ? listed : listed.filter((place) => compare(place, after) > 0);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const hasNext = rest.length > page.length && last !== undefined;
  const lastPart = (name: string): string => name.replace(/\/$/, '').split('/').at(-1) ?? name;
  return jsonResponse({
    hasNext,
    ...(hasNext && { nextCursor: cursorOf(last) }),
    folders: page.flatMap(({ name, object }) =>
      object === undefined ? [{ ...folderRow(name), key: lastPart(name) }] : [],
    ),
    objects: page.flatMap(({ name, object }) => {
      if (object === undefined) return [];
      return [{ ...rowOf(name, object), ...(isGrouped && { key: lastPart(name) }) }];
    }),
  });
}

/** A place in a listing: what it is sorted by, and its name. */
interface Place {
  readonly sort: string;
  readonly name: string;
  /** Absent for a folder. */
  readonly object?: SupabaseObject;
}

function placeOf(name: string, object: SupabaseObject, column: Column): Place {
  const sort = column === 'name' ? '' : (rowOf(name, object)[column] ?? '');
  return { sort, name, object };
}

function groupedBelow(prefix: string, sorted: readonly Place[]): Place[] {
  const seen = new Set<string>();
  return sorted.flatMap((place) => {
    const slash = place.name.indexOf('/', prefix.length);
    if (slash === -1) return [place];
    const name = place.name.slice(0, slash + 1);
    if (seen.has(name)) return [];
    seen.add(name);
    return [{ sort: place.sort, name }];
  });
}

function cursorOf({ sort, name }: Place): string {
  return Buffer.from(JSON.stringify([sort, name])).toString('base64url');
}

/** @throws SupabaseError InvalidParameter */
function placeIn(cursor: string): Place {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(value)) {
      const [sort, name]: unknown[] = value;
      if (typeof sort === 'string' && typeof name === 'string') return { sort, name };
    }
  } catch {
    // Throws below.
  }
  throw supabaseError('InvalidParameter', 'Invalid Parameter continuation token');
}

function optionalText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** @throws SupabaseError InvalidRequest */
function countIn(value: unknown, name: string, min: number, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw supabaseError('InvalidRequest', `body/${name} must be integer`);
  }
  if (value < min) throw supabaseError('InvalidRequest', `body/${name} must be >= ${min}`);
  return value;
}

type Column = 'name' | 'updated_at' | 'created_at' | 'last_accessed_at';

const LIST_COLUMNS: readonly Column[] = ['name', 'updated_at', 'created_at', 'last_accessed_at'];
const LIST_V2_COLUMNS: readonly Column[] = ['name', 'updated_at', 'created_at'];

/** @throws SupabaseError InvalidRequest */
function orderIn(
  sortBy: unknown,
  columns: readonly Column[],
): { readonly column: Column; readonly sign: 1 | -1 } {
  const { column, order } = { column: 'name', order: 'asc', ...objectIn(sortBy) };
  const unknown = (field: string): Error =>
    supabaseError(
      'InvalidRequest',
      `body/sortBy/${field} must be equal to one of the allowed values`,
    );
  const known = columns.find((each) => each === column);
  if (known === undefined) throw unknown('column');
  if (order !== 'asc' && order !== 'desc') throw unknown('order');
  return { column: known, sign: order === 'asc' ? 1 : -1 };
}

function objectIn(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

/** The order of a database in English: without case, then with it. */
function byCollation(left: string, right: string): number {
  return byBytes(left.toLowerCase(), right.toLowerCase()) || byBytes(left, right);
}
