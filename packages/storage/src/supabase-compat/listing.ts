import { InvalidOptionError } from '@holdfast/foundation';
import type { ListedObject } from '../backend.ts';
import { compareKeys } from '../object/key.ts';
import type { Storage } from '../storage.ts';
import { keyOf } from './options.ts';
import { NotSupportedError } from './result.ts';

/** What a listing tells of a file; each field where the backend tells it. */
export interface BucketFileMetadata {
  readonly eTag?: string;
  readonly size?: number;
  readonly mimetype?: string;
  readonly cacheControl?: string;
  readonly lastModified?: string;
  readonly contentLength?: number;
  readonly httpStatusCode: 200;
}

/** A file or a folder directly below a path; a folder has only a name. */
export interface BucketEntry {
  readonly name: string;
  readonly id: string | null;
  readonly updated_at: string | null;
  readonly created_at: string | null;
  readonly last_accessed_at: string | null;
  readonly metadata: BucketFileMetadata | null;
}

/** A file of `listV2`: its name is its whole key. */
export interface BucketObject extends BucketEntry {
  readonly id: string;
  /** With folders the last part of the key, as on the server; without them the whole key. */
  readonly key: string;
}

/** A page of `listV2`. */
export interface BucketPage {
  readonly hasNext: boolean;
  readonly nextCursor?: string;
  /** Their names end with a slash; `key` is the last part of the name. */
  readonly folders: readonly { readonly name: string; readonly key: string }[];
  readonly objects: readonly BucketObject[];
}

interface SortBy {
  column?: string;
  order?: string;
}

/** The options of supabase-js for `list`. */
export interface BucketListOptions {
  /** Default 100. */
  limit?: number;
  /** Default 0. */
  offset?: number;
  /** A prefix of the names, compared without case. */
  search?: string;
  /** `name`, `updated_at`, `created_at` or `last_accessed_at`, and `asc` or `desc`. Default by name, ascending. */
  sortBy?: SortBy;
  /** Older versions are never listed, so that only `exclude` is permitted. */
  noncurrentVersions?: 'exclude';
  /** Removed objects are never listed, so that only `exclude` is permitted. */
  deleteMarkers?: 'exclude';
  /** `search` is a prefix, so that only `false` is permitted. */
  exactMatch?: false;
}

/** The options of supabase-js for `listV2`. */
export interface BucketListV2Options {
  /** Up to 1 000, the default; pending writes may come on top. */
  limit?: number;
  /** What the keys begin with. Default: all keys. */
  prefix?: string;
  /** The `nextCursor` of the page before. */
  cursor?: string;
  /** Whether keys with a slash after the prefix are grouped as folders. */
  with_delimiter?: boolean;
  /** `name`, `updated_at` or `created_at`. */
  sortBy?: SortBy;
  /** Older versions are never listed, so that only `exclude` is permitted. */
  noncurrentVersions?: 'exclude';
  /** Removed objects are never listed, so that only `exclude` is permitted. */
  deleteMarkers?: 'exclude';
  /** `prefix` is a prefix, so that only `false` is permitted. */
  exactMatch?: false;
}

const PAGE_KEYS = 1_000;
/** Reading more would take minutes; `storage.list` reads any number of objects page by page. */
const MAX_PAGES = 100;

/** The entries directly below a path: by name together, by a date the folders first. */
export async function listFolder(
  storage: Storage,
  path: string,
  { limit = 100, offset = 0, search = '', sortBy = {} }: BucketListOptions,
  signal: AbortSignal | undefined,
): Promise<BucketEntry[]> {
  assertCount('list', 'limit', limit, 1);
  assertCount('list', 'offset', offset, 0);
  const sorting = sortingOf('list', sortBy);
  const folder = keyOf(path);
  const below = folder === '' ? '' : `${folder}/`;
  const folders = new Set<string>();
  const files: BucketEntry[] = [];
  const wanted = search.toLowerCase();
  for await (const object of everyBelow('list', storage, below, signal)) {
    const rest = object.key.slice(below.length);
    const [name = rest] = rest.split('/', 1);
    if (!name.toLowerCase().startsWith(wanted)) continue;
    if (name === rest) files.push(fileOf(name, object));
    else folders.add(name);
  }
  const { column, sign } = sorting;
  const byName = (left: BucketEntry, right: BucketEntry): number =>
    sign * (compareFolded(left.name, right.name) || compareKeys(left.name, right.name));
  const byColumn = (left: BucketEntry, right: BucketEntry): number =>
    sign * compareText(left[column] ?? '', right[column] ?? '') || byName(left, right);
  const all = [...folders].map(folderOf);
  const sorted =
    column === 'name'
      ? [...all, ...files].toSorted(byName)
      : [...all.toSorted(byName), ...files.toSorted(byColumn)];
  return sorted.slice(offset, offset + limit);
}

/** A page of the keys that begin with a prefix. */
export async function listPage(
  storage: Storage,
  options: BucketListV2Options,
  signal: AbortSignal | undefined,
): Promise<BucketPage> {
  const { limit = PAGE_KEYS, cursor, with_delimiter: groups = false, sortBy = {} } = options;
  assertCount('listV2', 'limit', limit, 1);
  const prefix = (options.prefix ?? '').replaceAll(/\/{2,}/g, '/').replace(/^\//, '');
  const pageKeys = Math.min(limit, PAGE_KEYS);
  const { column, sign } = sortingOf('listV2', sortBy);
  if (!groups && column === 'name' && sign === 1) {
    return flatPage(storage, prefix, pageKeys, cursor, signal);
  }
  const items: Item[] = [];
  for await (const object of everyBelow('listV2', storage, prefix, signal)) {
    items.push(itemOf(object, column));
  }
  const compare = (left: Place, right: Place): number =>
    sign * (compareText(left.sort, right.sort) || compareKeys(left.name, right.name));
  const grouped = groups ? groupsOf(items.toSorted(compare), prefix) : items.toSorted(compare);
  const after = cursor === undefined ? undefined : placeIn(cursor);
  const rest = after === undefined ? grouped : grouped.filter((item) => compare(item, after) > 0);
  const page = rest.slice(0, pageKeys);
  const last = page.at(-1);
  const hasNext = rest.length > page.length;
  return {
    hasNext,
    ...(hasNext && last !== undefined && { nextCursor: cursorOf(last) }),
    folders: page.flatMap(({ name, object }) =>
      object === undefined ? [{ name, key: lastPartOf(name.slice(0, -1)) }] : [],
    ),
    objects: page.flatMap(({ object }) => {
      if (object === undefined) return [];
      const key = groups ? lastPartOf(object.key) : object.key;
      return [{ ...objectOf(object), key }];
    }),
  };
}

function lastPartOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

/** The backend's own order, page by page. */
async function flatPage(
  storage: Storage,
  prefix: string,
  limit: number,
  cursor: string | undefined,
  signal: AbortSignal | undefined,
): Promise<BucketPage> {
  const listing = await storage.list(prefix, {
    limit,
    ...(cursor !== undefined && { cursor }),
    ...(signal !== undefined && { signal }),
  });
  return {
    hasNext: listing.cursor !== undefined,
    ...(listing.cursor !== undefined && { nextCursor: listing.cursor }),
    folders: [],
    objects: listing.objects.map(objectOf),
  };
}

/** A place in a sorted listing: the value of its column, and its name. */
interface Place {
  readonly sort: string;
  readonly name: string;
}

interface Item extends Place {
  /** Absent for a folder. */
  readonly object?: ListedObject;
}

function itemOf(object: ListedObject, column: keyof BucketEntry): Item {
  const { key } = object;
  const sort = column === 'name' ? '' : fileOf(key, object)[column];
  return { sort: typeof sort === 'string' ? sort : '', name: key, object };
}

/** A folder stands where the first of its objects stood. */
function groupsOf(items: readonly Item[], prefix: string): Item[] {
  const seen = new Set<string>();
  return items.flatMap((item) => {
    const slash = item.name.indexOf('/', prefix.length);
    if (slash === -1) return [item];
    const name = item.name.slice(0, slash + 1);
    if (seen.has(name)) return [];
    seen.add(name);
    return [{ sort: item.sort, name }];
  });
}

function cursorOf({ sort, name }: Place): string {
  return Buffer.from(JSON.stringify({ sort, name })).toString('base64url');
}

/** @throws InvalidOptionError */
function placeIn(cursor: string): Place {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (isPlace(value)) return value;
  } catch {
    // Throws below.
  }
  throw new InvalidOptionError('listV2', 'cursor', cursor, 'the nextCursor of the page before');
}

function isPlace(value: unknown): value is Place {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['sort', 'name'].every((name) => typeof Reflect.get(value, name) === 'string')
  );
}

async function* everyBelow(
  call: string,
  storage: Storage,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedObject> {
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const listing = await storage.list(prefix, {
      limit: PAGE_KEYS,
      ...(cursor !== undefined && { cursor }),
      ...(signal !== undefined && { signal }),
    });
    yield* listing.objects;
    ({ cursor } = listing);
    if (cursor === undefined) return;
  }
  const reason = `more than ${MAX_PAGES * PAGE_KEYS} objects lie below ${JSON.stringify(prefix)}`;
  throw new NotSupportedError(call, reason, 'use list of the storage itself, page by page');
}

const COLUMNS = ['name', 'updated_at', 'created_at', 'last_accessed_at'] as const;

/** @throws InvalidOptionError */
function sortingOf(
  call: string,
  { column = 'name', order = 'asc' }: SortBy,
): { column: (typeof COLUMNS)[number]; sign: 1 | -1 } {
  const known = COLUMNS.find((name) => name === column);
  if (known === undefined) {
    throw new InvalidOptionError(call, 'sortBy.column', column, `one of ${COLUMNS.join(', ')}`);
  }
  if (order !== 'asc' && order !== 'desc') {
    throw new InvalidOptionError(call, 'sortBy.order', order, 'asc or desc');
  }
  return { column: known, sign: order === 'asc' ? 1 : -1 };
}

/** @throws InvalidOptionError */
function assertCount(call: string, field: string, value: number, min: number): void {
  if (Number.isSafeInteger(value) && value >= min) return;
  throw new InvalidOptionError(call, field, value, `a whole number from ${min}`);
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareFolded(left: string, right: string): number {
  return compareText(left.toLowerCase(), right.toLowerCase());
}

function objectOf(object: ListedObject): BucketObject {
  const { key } = object;
  return { ...fileOf(key, object), id: key, key };
}

function fileOf(name: string, object: ListedObject): BucketEntry {
  const { key, size, etag, contentType, cacheControl, lastModifiedEpochMs } = object;
  const updated = isoTime(lastModifiedEpochMs);
  const created = isoTime(object.createdEpochMs ?? lastModifiedEpochMs);
  return {
    name,
    id: key,
    updated_at: updated,
    created_at: created,
    last_accessed_at: created,
    metadata: {
      ...(etag !== undefined && { eTag: etag }),
      ...(size !== undefined && { size }),
      ...(contentType !== undefined && { mimetype: contentType }),
      ...(cacheControl !== undefined && { cacheControl }),
      ...(updated !== null && { lastModified: updated }),
      ...(size !== undefined && { contentLength: size }),
      httpStatusCode: 200,
    },
  };
}

export function isoTime(epochMs: number | undefined): string | null {
  return epochMs === undefined ? null : new Date(epochMs).toISOString();
}

function folderOf(name: string): BucketEntry {
  return {
    name,
    id: null,
    updated_at: null,
    created_at: null,
    last_accessed_at: null,
    metadata: null,
  };
}
