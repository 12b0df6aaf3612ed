import type { ListedObject } from '../backend.ts';
import type { Storage } from '../storage.ts';
import { NotSupportedError } from './result.ts';

/** A file or a folder directly below a path; a folder has only a name. */
export interface BucketEntry {
  readonly name: string;
  readonly id: string | null;
  readonly updated_at: string | null;
  readonly created_at: string | null;
  readonly last_accessed_at: string | null;
  readonly metadata: { readonly size?: number } | null;
}

export interface BucketListOptions {
  /** Default 100. */
  limit?: number;
  /** Default 0. */
  offset?: number;
  /** A prefix of the names, compared without case. */
  search?: string;
  /** Only by name, ascending. */
  sortBy?: { column?: string; order?: string };
}

const PAGE_KEYS = 1_000;
/** Reading a larger folder would take minutes; `storage.list` reads any number of objects page by page. */
const MAX_PAGES = 100;

/** The entries directly below a path: folders first, then files, each by name. */
export async function listFolder(
  storage: Storage,
  path: string,
  { limit = 100, offset = 0, search = '', sortBy = {} }: BucketListOptions,
): Promise<BucketEntry[]> {
  const { column = 'name', order = 'asc' } = sortBy;
  if (column !== 'name' || order !== 'asc') {
    const reason = `it sorts by name, ascending, not by ${column} ${order}`;
    throw new NotSupportedError('list', reason, 'sort what it returns');
  }
  const below = path === '' || path.endsWith('/') ? path : `${path}/`;
  const folders = new Set<string>();
  const files: BucketEntry[] = [];
  const wanted = search.toLowerCase();
  for await (const object of everyBelow(storage, below)) {
    const rest = object.key.slice(below.length);
    const [name = rest] = rest.split('/', 1);
    if (!name.toLowerCase().startsWith(wanted)) continue;
    if (name === rest) files.push(fileOf(name, object));
    else folders.add(name);
  }
  return [...[...folders].map(folderOf), ...files].slice(offset, offset + limit);
}

async function* everyBelow(storage: Storage, prefix: string): AsyncGenerator<ListedObject> {
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const listing = await storage.list(prefix, {
      limit: PAGE_KEYS,
      ...(cursor !== undefined && { cursor }),
    });
    yield* listing.objects;
    ({ cursor } = listing);
    if (cursor === undefined) return;
  }
  const reason = `more than ${MAX_PAGES * PAGE_KEYS} objects lie below ${JSON.stringify(prefix)}`;
  throw new NotSupportedError('list', reason, 'use list of the storage itself, page by page');
}

function fileOf(name: string, { key, size, lastModifiedEpochMs }: ListedObject): BucketEntry {
  const changed =
    lastModifiedEpochMs === undefined ? null : new Date(lastModifiedEpochMs).toISOString();
  return {
    name,
    id: key,
    updated_at: changed,
    created_at: changed,
    last_accessed_at: null,
    metadata: size === undefined ? {} : { size },
  };
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
