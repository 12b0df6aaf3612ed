import type { ObjectPage, ListedObject, ObjectHead } from '../../backend.ts';
import { parseMetadata } from '../../object/write-stamp.ts';
import { isRecord } from './errors.ts';

/** Parses the response of `/object/info`; `undefined` when it describes no object. */
export function parseInfo(key: string, value: unknown): ObjectHead | undefined {
  if (!isRecord(value) || typeof value['id'] !== 'string') return undefined;
  const size = value['size'];
  if (typeof size !== 'number') return undefined;
  const version = value['version'];
  const contentType = value['content_type'];
  const modifiedEpochMs = epochMsOf(value['last_modified']);
  return {
    key,
    size,
    ...(typeof version === 'string' && { version }),
    ...(typeof contentType === 'string' && { contentType }),
    ...(modifiedEpochMs !== undefined && { lastModifiedEpochMs: modifiedEpochMs }),
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
  const size = isRecord(value['metadata']) ? value['metadata']['size'] : undefined;
  const lastModifiedEpochMs = epochMsOf(value['updated_at']);
  return [
    {
      key,
      ...(typeof size === 'number' && { size }),
      ...(lastModifiedEpochMs !== undefined && { lastModifiedEpochMs }),
    },
  ];
}

function epochMsOf(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const epochMs = Date.parse(value);
  return Number.isNaN(epochMs) ? undefined : epochMs;
}
