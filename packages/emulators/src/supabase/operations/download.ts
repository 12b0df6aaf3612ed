import type { HttpResponse } from '../../serving/http-listener.ts';
import { parseRange, rangeHeaders } from '../../serving/range.ts';
import { spansOf } from '../../object-files/pieces.ts';
import {
  type StorageCall,
  bucketOf,
  header,
  isoTime,
  jsonResponse,
  requirePermission,
} from './storage-call.ts';
import { supabaseError } from '../error.ts';
import type { SupabaseObject } from '../store.ts';
import { pathOf } from './upload.ts';

/** @throws SupabaseError NoSuchKey */
export function objectOf({ store, bucket }: StorageCall, key: string): SupabaseObject {
  const object = store.objects.get(pathOf(bucket, key));
  if (object === undefined) throw supabaseError('NoSuchKey');
  return object;
}

/** Downloads an object in the role of the caller. */
export async function download(call: StorageCall): Promise<HttpResponse> {
  requirePermission(call, 'select');
  bucketOf(call, call.bucket);
  return bodyResponse(call);
}

/** Downloads an object of a public bucket. */
export async function downloadPublic(call: StorageCall): Promise<HttpResponse> {
  assertPublic(call);
  return bodyResponse(call);
}

/** The metadata of an object. */
export async function info(call: StorageCall): Promise<HttpResponse> {
  requirePermission(call, 'select');
  return infoResponse(call);
}

export async function infoPublic(call: StorageCall): Promise<HttpResponse> {
  assertPublic(call);
  return infoResponse(call);
}

function assertPublic(call: StorageCall): void {
  if (!bucketOf(call, call.bucket).isPublic) throw supabaseError('NoSuchBucket');
}

function infoResponse(call: StorageCall): HttpResponse {
  bucketOf(call, call.bucket);
  const object = objectOf(call, call.key);
  const metadata: unknown = JSON.parse(object.metadata);
  return jsonResponse({
    id: object.id,
    name: call.key,
    version: object.version,
    bucket_id: call.bucket,
    size: object.size,
    content_type: object.contentType,
    cache_control: object.cacheControl,
    etag: object.etag,
    metadata,
    last_modified: isoTime(object.updatedMs),
    created_at: isoTime(object.createdMs),
  });
}

/** The response with an object, or with the requested range of it. */
export function bodyResponse(call: StorageCall): HttpResponse {
  const { store, method, query, key } = call;
  const object = objectOf(call, key);
  const { size, etag } = object;
  if (header(call, 'if-none-match') === etag) return { status: 304, headers: { etag } };
  const range = parseRange(header(call, 'range'), size);
  if (range === undefined) throw supabaseError('InvalidRange');
  const { first, last, isPartial } = range;
  const name = query.get('download');
  const headers = {
    'content-type': object.contentType,
    'cache-control': object.cacheControl,
    'last-modified': new Date(object.updatedMs).toUTCString(),
    ...rangeHeaders(range, size),
    etag,
    ...(name !== null && { 'content-disposition': dispositionOf(name) }),
  };
  const status = isPartial ? 206 : 200;
  if (method === 'HEAD') return { status, headers };
  return { status, headers, body: store.blobs.read(spansOf(object.pieces, first, last)) };
}

function dispositionOf(name: string): string {
  return name === '' ? 'attachment;' : `attachment; filename*=UTF-8''${encodeURIComponent(name)};`;
}
