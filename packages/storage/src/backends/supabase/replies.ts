import type { ObjectDetails, ObjectPage, ListedObject, ObjectHead } from '../../backend.ts';
import { parseMetadata } from '../../object/write-stamp.ts';
import { isRecord } from './errors.ts';

/** Parses the response of `/object/info`; `undefined` when it describes no object. */
export function parseInfo(key: string, value: unknown): ObjectHead | undefined {
  if (!isRecord(value) || typeof value['id'] !== 'string') return undefined;
  const size = value['size'];
  if (typeof size !== 'number') return undefined;
  const version = value['version'];
  return {
    key,
    size,
    ...(typeof version === 'string' && { version }),
    ...detailsOf({
      contentType: value['content_type'],
      cacheControl: value['cache_control'],
      etag: value['etag'],
      created: value['created_at'],
      modified: value['last_modified'],
    }),
    ...parseMetadata(value['metadata']),
  };
}

/** Parses the response of `/object/list-v2`; `undefined` when it is no list. */
export function parsePage(value: unknown): ObjectPage | undefined {
  if (!isRecord(value) || !Array.isArray(value['objects'])) return undefined;
  const cursor = value['nextCursor'];
  const isLast = value['hasNext'] !== true || typeof cursor !== 'string';
  return {
    objects: value['objects'].flatMap((entry) => parseEntry(entry)),
    ...(!isLast && { cursor }),
  };
}

function parseEntry(value: unknown): ListedObject[] {
  if (!isRecord(value)) return [];
  const key = typeof value['key'] === 'string' ? value['key'] : value['name'];
  if (typeof key !== 'string') return [];
  const metadata = isRecord(value['metadata']) ? value['metadata'] : {};
  const { size } = metadata;
  return [
    {
      key,
      ...(typeof size === 'number' && { size }),
      ...detailsOf({
        contentType: metadata['mimetype'],
        cacheControl: metadata['cacheControl'],
        etag: metadata['eTag'],
        created: value['created_at'],
        modified: value['updated_at'],
      }),
    },
  ];
}

function detailsOf(given: {
  readonly contentType: unknown;
  readonly cacheControl: unknown;
  readonly etag: unknown;
  readonly created: unknown;
  readonly modified: unknown;
}): ObjectDetails {
  const { contentType, cacheControl, etag } = given;
  const createdEpochMs = epochMsOf(given.created);
  const lastModifiedEpochMs = epochMsOf(given.modified);
  return {
    ...(typeof contentType === 'string' && { contentType }),
    ...(typeof cacheControl === 'string' && { cacheControl }),
    ...(typeof etag === 'string' && { etag }),
    ...(createdEpochMs !== undefined && { createdEpochMs }),
    ...(lastModifiedEpochMs !== undefined && { lastModifiedEpochMs }),
  };
}

function epochMsOf(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const epochMs = Date.parse(value);
  return Number.isNaN(epochMs) ? undefined : epochMs;
}
