import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { HttpResponse } from '../../serving/http-listener.ts';
import { type Piece, removePieces, sizeOf } from '../../object-files/pieces.ts';
import {
  type StorageCall,
  bucketOf,
  bytesOf,
  canRead,
  header,
  isUpsert,
  jsonResponse,
  requirePermission,
  chunksOf,
} from './storage-call.ts';
import { assertValidKey } from './key-rules.ts';
import { supabaseError } from '../error.ts';
import type { SupabaseObject } from '../store.ts';

/** The metadata of an upload. */
interface UploadMetadata {
  readonly contentType: string;
  readonly cacheControl: string;
  /** As JSON. */
  readonly metadata: string;
}

/** The limit of the form fields beside the file. */
const FORM_BYTES = 1_048_576;

/** How long a racing server does not see an object that another request creates. */
const RACE_MS = 1_000;

export function pathOf(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}

/** Checks whether an upload to the key may begin. @throws SupabaseError */
export function permitUpload(call: StorageCall, upsert: boolean): void {
  const { store, bucket, key, faults, clock } = call;
  assertValidKey(key);
  bucketOf(call, bucket);
  requirePermission(call, 'insert');
  // The statement of an upsert returns its row.
  if (upsert && !canRead(call, bucket, key)) {
    throw supabaseError('AccessDenied', 'new row violates row-level security policy');
  }
  const existing = store.objects.get(pathOf(bucket, key));
  if (existing === undefined) return;
  const ageMs = clock.epochMs() - existing.createdMs;
  if (!upsert && !(faults.creates === 'racing' && ageMs < RACE_MS)) {
    throw supabaseError('KeyAlreadyExists');
  }
  if (upsert) requirePermission(call, 'update');
}

/** Uploads by POST; by PUT it creates or replaces the object. */
export async function upload(call: StorageCall): Promise<HttpResponse> {
  const { id } = await receive(call, call.method === 'PUT' || isUpsert(call));
  return jsonResponse({ Id: id, Key: pathOf(call.bucket, call.key) });
}

export async function receive(call: StorageCall, upsert: boolean): Promise<SupabaseObject> {
  permitUpload(call, upsert);
  const contentType = header(call, 'content-type') ?? 'application/octet-stream';
  return contentType.startsWith('multipart/form-data')
    ? receiveForm(call, upsert, contentType)
    : receiveBody(call, upsert, contentType);
}

async function receiveBody(
  call: StorageCall,
  upsert: boolean,
  contentType: string,
): Promise<SupabaseObject> {
  const encoded = header(call, 'x-metadata');
  const metadata = metadataIn(encoded && Buffer.from(encoded, 'base64').toString('utf8'));
  const cacheControl = header(call, 'cache-control') ?? 'no-cache';
  const description = { contentType, cacheControl, metadata };
  return storeBody(call, upsert, description, chunksOf(call));
}

async function receiveForm(
  call: StorageCall,
  upsert: boolean,
  contentType: string,
): Promise<SupabaseObject> {
  const body = await bytesOf(call, limitOf(call) + FORM_BYTES);
  const headers = { 'content-type': contentType };
  const form = await new Response(new Uint8Array(body), { headers }).formData().catch(() => {
    throw supabaseError('InvalidRequest', 'The form could not be read');
  });
  const file = [...form.values()].find((value) => typeof value !== 'string');
  if (file === undefined) throw supabaseError('InvalidRequest', 'No content provided');
  const field = (name: string): string | undefined => {
    const value = form.get(name);
    return typeof value === 'string' ? value : undefined;
  };
  const seconds = field('cacheControl');
  const description = {
    contentType: field('contentType') ?? (file.type || 'application/octet-stream'),
    cacheControl: seconds === undefined ? 'no-cache' : `max-age=${seconds}`,
    metadata: metadataIn(field('metadata')),
  };
  const bytes = Readable.from([new Uint8Array(await file.arrayBuffer())]);
  return storeBody(call, upsert, description, bytes);
}

async function storeBody(
  call: StorageCall,
  upsert: boolean,
  description: UploadMetadata,
  body: AsyncIterable<Uint8Array>,
): Promise<SupabaseObject> {
  assertMimeType(call, description.contentType);
  const limit = limitOf(call);
  if (Number(header(call, 'content-length') ?? 0) > limit + FORM_BYTES) {
    throw supabaseError('EntityTooLarge');
  }
  const md5 = createHash('md5');
  async function* bounded(): AsyncGenerator<Uint8Array> {
    let size = 0;
    for await (const piece of body) {
      size += piece.length;
      if (size > limit) throw supabaseError('EntityTooLarge');
      md5.update(piece);
      yield piece;
    }
  }
  const piece = await call.store.blobs.write(bounded());
  return commit(call, upsert, description, [piece], md5.digest('hex'));
}

/**
 * Stores an object; without `upsert` only when the key has none. The check and the write are synchronous, so that
 * exactly one of several concurrent creates succeeds.
 */
export async function commit(
  call: StorageCall,
  upsert: boolean,
  description: UploadMetadata,
  pieces: readonly Piece[],
  md5: string,
): Promise<SupabaseObject> {
  const { store, clock, bucket, key } = call;
  const path = pathOf(bucket, key);
  const now = Math.trunc(clock.epochMs());
  try {
    permitUpload(call, upsert);
  } catch (error) {
    await removePieces(store.blobs, pieces);
    throw error;
  }
  const before = store.objects.get(path);
  const object = {
    ...description,
    id: before?.id ?? randomUUID(),
    version: randomUUID(),
    size: sizeOf(pieces),
    etag: `"${md5}"`,
    createdMs: before?.createdMs ?? now,
    updatedMs: now,
    pieces,
  };
  await store.replace(path, object);
  return object;
}

/** @throws SupabaseError InvalidMimeType */
export function assertMimeType(call: StorageCall, contentType: string): void {
  const { allowedMimeTypes } = bucketOf(call, call.bucket);
  const type = contentType.split(';')[0]?.trim() ?? '';
  const fits = (allowed: string): boolean =>
    allowed === '*' ||
    allowed === type ||
    (allowed.endsWith('/*') && type.startsWith(allowed.slice(0, -1)));
  if (allowedMimeTypes === undefined || allowedMimeTypes.some(fits)) return;
  throw supabaseError('InvalidMimeType', `mime type ${contentType} is not supported`);
}

function limitOf(call: StorageCall): number {
  const { maxStandardUploadBytes, maxObjectBytes } = call.options;
  const { fileSizeLimit = maxObjectBytes } = bucketOf(call, call.bucket);
  return Math.min(maxStandardUploadBytes, maxObjectBytes, fileSizeLimit);
}

/** Ignores everything except a JSON object, as the real server does. */
export function metadataIn(json: string | undefined): string {
  try {
    const value: unknown = JSON.parse(json ?? '');
    if (typeof value === 'object' && value !== null) return JSON.stringify(value);
  } catch {
    return '{}';
  }
  return '{}';
}
