import { createHash, randomUUID } from 'node:crypto';
import type { HttpResponse } from '../../serving/http-listener.ts';
import { type Piece, removePieces, sizeOf, spansOf } from '../../object-files/pieces.ts';
import { ROLES } from '../access.ts';
import { type StorageCall, bucketOf, header, isUpsert, chunksOf } from './storage-call.ts';
import { SupabaseError, supabaseError } from '../error.ts';
import { callGrantedBy } from './signed-urls.ts';
import type { SupabaseUpload } from '../store.ts';
import { assertMimeType, commit, metadataIn, permitUpload } from './upload.ts';

/*
 * Resumable uploads (TUS 1.0.0: core, creation, creation-with-upload, expiration, termination).
 *
 *   POST ──▶ open ──PATCH at its offset──▶ open ... ──last byte──▶ object, upload gone
 *              │ DELETE ▶ gone
 *              └ resumableExpiryMs after creation ▶ expired (410)
 *
 * Bytes that arrive before a connection fails are kept. A PATCH during another one gets 423.
 */

const VERSION = '1.0.0';
const OFFSETS = 'application/offset+octet-stream';
const always = { 'tus-resumable': VERSION };

/** The ids of uploads that a request is writing to, by store. */
const writing = new WeakMap<object, Set<string>>();

export async function describeResumable(call: StorageCall): Promise<HttpResponse> {
  return {
    status: 204,
    headers: {
      ...always,
      'tus-version': VERSION,
      'tus-extension': 'creation,creation-with-upload,expiration,termination',
      'tus-max-size': String(call.options.maxObjectBytes),
    },
  };
}

export async function createResumable(call: StorageCall): Promise<HttpResponse> {
  assertVersion(call);
  const metadata = metadataOf(call);
  const bucket = metadata.get('bucketName') ?? '';
  const key = metadata.get('objectName') ?? '';
  const named = { ...call, bucket, key };
  const { isOpen: isSigned } = call;
  const signed = isSigned ? callGrantedBy(named, header(call, 'x-signature')) : undefined;
  const granted = signed?.call ?? named;
  const upsert = signed?.upsert ?? isUpsert(call);
  const length = Number(header(call, 'upload-length') ?? Number.NaN);
  if (!Number.isSafeInteger(length) || length < 0) throw tusError(400, 'Upload-Length is required');
  permitUpload(granted, upsert);
  const { maxObjectBytes, resumableExpiryMs } = call.options;
  const { fileSizeLimit = maxObjectBytes } = bucketOf(granted, bucket);
  if (length > Math.min(maxObjectBytes, fileSizeLimit)) {
    throw tusError(413, 'Maximum size exceeded');
  }
  const contentType = metadata.get('contentType') ?? 'application/octet-stream';
  assertMimeType(granted, contentType);
  const seconds = metadata.get('cacheControl') ?? '';
  const id = Buffer.from(`${bucket}/${key}/${randomUUID()}`).toString('base64url');
  const upload: SupabaseUpload = {
    bucket,
    key,
    length,
    isUpsert: upsert,
    role: granted.role,
    contentType,
    cacheControl: /^\d+$/.test(seconds) ? `max-age=${seconds}` : 'no-cache',
    metadata: metadataIn(metadata.get('metadata')),
    expiresMs: Math.trunc(call.clock.epochMs()) + resumableExpiryMs,
    pieces: [],
  };
  call.store.uploads.set(id, upload);
  // Behind a gateway, the client must continue at the address of the gateway.
  const { host = '' } = call.message.headers;
  const publicHost = header(call, 'x-forwarded-host') ?? host;
  const prefix = header(call, 'x-forwarded-prefix') ?? call.prefix;
  const suffix = isSigned ? '/sign' : '';
  const location = `http://${publicHost}${prefix}/upload/resumable${suffix}/${id}`;
  const carries = header(call, 'content-type') === OFFSETS;
  const offset = carries || length === 0 ? await append(call, id, upload) : undefined;
  return { status: 201, headers: { ...stateOf(upload, offset), location } };
}

export async function headResumable(call: StorageCall): Promise<HttpResponse> {
  assertVersion(call);
  const { upload } = uploadOf(call);
  const headers = {
    ...stateOf(upload, offsetOf(upload)),
    'upload-length': String(upload.length),
    'cache-control': 'no-store',
  };
  return { status: 200, headers };
}

export async function patchResumable(call: StorageCall): Promise<HttpResponse> {
  assertVersion(call);
  if (header(call, 'content-type') !== OFFSETS) throw tusError(415, 'Invalid Content-Type');
  const { id, upload } = uploadOf(call);
  if (Number(header(call, 'upload-offset') ?? Number.NaN) !== offsetOf(upload)) {
    throw tusError(409, 'Upload-Offset conflict');
  }
  return { status: 204, headers: stateOf(upload, await append(call, id, upload)) };
}

export async function deleteResumable(call: StorageCall): Promise<HttpResponse> {
  assertVersion(call);
  const { id, upload } = uploadOf(call);
  call.store.uploads.delete(id);
  await removePieces(call.store.blobs, upload.pieces);
  return { status: 204, headers: always };
}

/** Stores the body, also when its connection fails, and completes the object with the last byte. */
async function append(call: StorageCall, id: string, before: SupabaseUpload): Promise<number> {
  const { store } = call;
  const locks = writing.get(store) ?? new Set<string>();
  writing.set(store, locks);
  if (locks.has(id)) throw tusError(423, 'The resource is locked');
  locks.add(id);
  try {
    const left = before.length - offsetOf(before);
    let failure: unknown;
    let hasFailed = false;
    async function* untilFailure(): AsyncGenerator<Uint8Array> {
      let size = 0;
      try {
        for await (const piece of chunksOf(call)) {
          size += piece.length;
          if (size > left) throw tusError(413, 'Size exceeded');
          yield piece;
        }
      } catch (error) {
        hasFailed = true;
        failure = error;
      }
    }
    const piece = await store.blobs.write(untilFailure());
    if (piece.size === 0) await store.blobs.remove(piece.blob);
    const after = { ...before, pieces: [...before.pieces, ...(piece.size > 0 ? [piece] : [])] };
    store.uploads.set(id, after);
    if (hasFailed) throw failure;
    if (offsetOf(after) === after.length) await complete(call, id, after);
    return offsetOf(after);
  } finally {
    locks.delete(id);
  }
}

async function complete(call: StorageCall, id: string, upload: SupabaseUpload): Promise<void> {
  const { store } = call;
  const { bucket, key, isUpsert: upsert, pieces } = upload;
  const role = ROLES.find((known) => known === upload.role) ?? 'anon';
  const md5 = await md5Of(call, pieces);
  store.uploads.delete(id);
  await commit({ ...call, bucket, key, role }, upsert, upload, pieces, md5);
}

async function md5Of({ store }: StorageCall, pieces: readonly Piece[]): Promise<string> {
  const md5 = createHash('md5');
  for await (const chunk of store.blobs.read(spansOf(pieces)))
    if (chunk instanceof Uint8Array) md5.update(chunk);
  return md5.digest('hex');
}

/** @throws SupabaseError 404 for an unknown upload, 410 for one that has expired. */
function uploadOf(call: StorageCall): { id: string; upload: SupabaseUpload } {
  const { store, clock, key: id } = call;
  const upload = store.uploads.get(id);
  if (upload === undefined) throw tusError(404, 'The file for this url was not found');
  if (upload.expiresMs <= clock.epochMs()) {
    store.uploads.delete(id);
    void removePieces(store.blobs, upload.pieces);
    throw tusError(410, 'The file for this url no longer exists');
  }
  const { bucket, key } = upload;
  if (call.isOpen) callGrantedBy({ ...call, bucket, key }, header(call, 'x-signature'));
  else if (call.method !== 'HEAD') permitUpload({ ...call, bucket, key }, upload.isUpsert);
  return { id, upload };
}

function offsetOf({ pieces }: SupabaseUpload): number {
  return sizeOf(pieces);
}

function stateOf(
  { expiresMs }: SupabaseUpload,
  offset: number | undefined,
): Record<string, string> {
  return {
    ...always,
    'upload-expires': new Date(expiresMs).toUTCString(),
    ...(offset !== undefined && { 'upload-offset': String(offset) }),
  };
}

/** Parses `Upload-Metadata`: names, and values in base64. */
function metadataOf(call: StorageCall): ReadonlyMap<string, string> {
  const given = header(call, 'upload-metadata');
  if (given === undefined) throw supabaseError('InvalidRequest', 'Metadata header is required');
  return new Map(
    given.split(',').map((pair) => {
      const [name = '', value = ''] = pair.trim().split(' ');
      return [name, Buffer.from(value, 'base64').toString('utf8')];
    }),
  );
}

function assertVersion(call: StorageCall): void {
  if (header(call, 'tus-resumable') !== VERSION) throw tusError(412, 'Tus-Resumable Required');
}

function tusError(status: number, message: string): SupabaseError {
  return new SupabaseError(status, 'TusError', message);
}
