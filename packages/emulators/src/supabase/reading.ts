import type { HttpAnswer } from '../s3/listen.ts';
import { readRange } from '../s3/range.ts';
import { spansOf } from '../s3/store.ts';
import { type Exchange, bucketOf, header, isoTime, jsonAnswer, permit } from './exchange.ts';
import { refuse } from './refusal.ts';
import type { StoredObject } from './store.ts';
import { pathOf } from './upload.ts';

/** @throws SupabaseRefusalError NoSuchKey */
export function objectOf({ store, bucket }: Exchange, key: string): StoredObject {
  const object = store.objects.get(pathOf(bucket, key));
  if (object === undefined) throw refuse('NoSuchKey');
  return object;
}

/** An object for a role that may read it. */
export async function download(exchange: Exchange): Promise<HttpAnswer> {
  permit(exchange, 'select');
  bucketOf(exchange, exchange.bucket);
  return sent(exchange);
}

/** An object of a public bucket, for everyone. */
export async function downloadPublic(exchange: Exchange): Promise<HttpAnswer> {
  assertPublic(exchange);
  return sent(exchange);
}

/** What is known of an object. Of a HEAD only the headers of a download are sent. */
export async function info(exchange: Exchange): Promise<HttpAnswer> {
  permit(exchange, 'select');
  return informed(exchange);
}

export async function infoPublic(exchange: Exchange): Promise<HttpAnswer> {
  assertPublic(exchange);
  return informed(exchange);
}

function assertPublic(exchange: Exchange): void {
  if (!bucketOf(exchange, exchange.bucket).isPublic) throw refuse('NoSuchBucket');
}

function informed(exchange: Exchange): HttpAnswer {
  bucketOf(exchange, exchange.bucket);
  const object = objectOf(exchange, exchange.key);
  const metadata: unknown = JSON.parse(object.metadata);
  return jsonAnswer({
    id: object.id,
    name: exchange.key,
    version: object.version,
    bucket_id: exchange.bucket,
    size: object.size,
    content_type: object.contentType,
    cache_control: object.cacheControl,
    etag: object.etag,
    metadata,
    last_modified: isoTime(object.updatedMs),
    created_at: isoTime(object.createdMs),
  });
}

/** The answer that carries an object, or the range of it that was asked for. */
export function sent(exchange: Exchange): HttpAnswer {
  const { store, method, query, key } = exchange;
  const object = objectOf(exchange, key);
  const { size, etag } = object;
  if (header(exchange, 'if-none-match') === etag) return { status: 304, headers: { etag } };
  const range = readRange(header(exchange, 'range'), size);
  if (range === 'unsatisfiable') throw refuse('InvalidRange');
  const { first, last } = range === 'whole' ? { first: 0, last: size - 1 } : range;
  const name = query.get('download');
  const headers = {
    'content-type': object.contentType,
    'content-length': String(last - first + 1),
    'cache-control': object.cacheControl,
    'last-modified': new Date(object.updatedMs).toUTCString(),
    'accept-ranges': 'bytes',
    etag,
    ...(range !== 'whole' && { 'content-range': `bytes ${first}-${last}/${size}` }),
    ...(name !== null && { 'content-disposition': dispositionOf(name) }),
  };
  const status = range === 'whole' ? 200 : 206;
  if (method === 'HEAD') return { status, headers };
  return { status, headers, body: store.blobs.read(spansOf(object.pieces, first, last)) };
}

function dispositionOf(name: string): string {
  return name === '' ? 'attachment;' : `attachment; filename*=UTF-8''${encodeURIComponent(name)};`;
}
