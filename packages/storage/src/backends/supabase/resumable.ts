import {
  type StorageFailure,
  type BackendResult,
  type BodySource,
  type PutOptions,
  fail,
  ok,
} from '../../backend.ts';
import { partReader, slices } from '../../object/body.ts';
import { stampedMetadata } from '../../object/write-stamp.ts';
import type { SupabaseConnection, SupabaseResponse } from './connection.ts';
import { isRecord } from './errors.ts';
import { PART_BYTES } from './options.ts';

/** The saved state of an upload in progress. */
interface Saved {
  /** The upload's path below `/upload/resumable/`. */
  readonly upload: string;
  readonly operationId: string;
}

interface ResumableUpload {
  readonly bucket: string;
  readonly key: string;
  readonly body: BodySource;
  readonly options: PutOptions;
  /** Whether it may replace an object. */
  readonly upsert: boolean;
}

const PATH = '/upload/resumable';
const TUS = { 'tus-resumable': '1.0.0' } as const;

/**
 * Sends a large body by TUS 1.0 in parts of exactly 6 MiB. The object does not exist before the last part is
 * taken. A saved upload continues at the server's offset, so that at most one part is sent twice.
 */
export async function putResumable(
  connection: SupabaseConnection,
  upload: ResumableUpload,
): Promise<BackendResult<undefined>> {
  const { body, options } = upload;
  const begun = await resume(connection, options);
  if (begun.kind !== 'ok' && begun.kind !== 'notFound') return begun;
  const partial = begun.kind === 'ok' ? begun : await create(connection, upload);
  if (partial.kind !== 'ok') return partial;
  const { path } = partial.value;
  let { offset } = partial.value;
  const read = partReader(upload.key, body, PART_BYTES);
  while (offset < body.size) {
    const end = Math.min(body.size, offset + PART_BYTES);
    const part = await read(offset, end);
    const answered = await connection.request({
      method: 'PATCH',
      path: `${PATH}/${path}`,
      effect: end === body.size ? 'write' : 'read',
      signal: options.signal,
      headers: {
        ...TUS,
        'upload-offset': String(offset),
        'content-type': 'application/offset+octet-stream',
        'content-length': String(end - offset),
        'x-upsert': String(upload.upsert),
      },
      // `fetch` copies bytes, so the reused memory of a part is sent as a stream.
      body: body.bytes === undefined ? slices(part) : part,
      bytes: end - offset,
    });
    if (answered.kind !== 'ok') return partFailure(answered);
    const { response, timeout } = answered.value;
    await response.body?.cancel();
    timeout.end();
    const taken = Number(response.headers.get('upload-offset') ?? Number.NaN);
    if (taken !== end) {
      return fail('transient', `the server has ${taken} bytes, ${end} were sent`);
    }
    offset = end;
  }
  return ok(undefined);
}

/** The server's offset in the saved upload; `notFound` when there is none, or no longer. */
async function resume(
  connection: SupabaseConnection,
  { progress, stamp, signal }: PutOptions,
): Promise<BackendResult<{ path: string; offset: number }>> {
  const saved = progress?.saved;
  if (!isSaved(saved) || saved.operationId !== stamp.operationId) {
    return fail('notFound', 'no upload in progress');
  }
  const answered = await connection.request({
    method: 'HEAD',
    path: `${PATH}/${saved.upload}`,
    effect: 'read',
    signal,
    headers: TUS,
  });
  if (answered.kind !== 'ok') return answered;
  const { response, timeout } = answered.value;
  timeout.end();
  const offset = Number(response.headers.get('upload-offset') ?? Number.NaN);
  return Number.isSafeInteger(offset)
    ? ok({ path: saved.upload, offset })
    : fail('notFound', 'an upload without an offset');
}

async function create(
  connection: SupabaseConnection,
  { bucket, key, body, options, upsert }: ResumableUpload,
): Promise<BackendResult<{ path: string; offset: number }>> {
  const metadata = {
    bucketName: bucket,
    objectName: key,
    contentType: options.contentType,
    cacheControl: String(options.maxAgeSeconds),
    metadata: JSON.stringify(stampedMetadata(options.stamp, options.metadata)),
  };
  const answered = await connection.request({
    method: 'POST',
    path: PATH,
    effect: 'read',
    signal: options.signal,
    headers: { ...TUS, ...uploadHeaders(metadata, body.size, upsert) },
  });
  if (answered.kind !== 'ok') return answered;
  const path = await uploadIn(answered.value);
  if (path === undefined) return fail('transient', 'an upload without a location');
  const saved: Saved = { upload: path, operationId: options.stamp.operationId };
  await options.progress?.save(saved);
  return ok({ path, offset: 0 });
}

function uploadHeaders(
  metadata: Readonly<Record<string, string>>,
  length: number,
  upsert: boolean,
): Record<string, string> {
  return {
    'upload-length': String(length),
    'upload-metadata': Object.entries(metadata)
      .map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`)
      .join(','),
    'x-upsert': String(upsert),
  };
}

/** The path of a new upload. Behind a gateway, only the server may know the host of the location. */
async function uploadIn({ response, timeout }: SupabaseResponse): Promise<string | undefined> {
  await response.body?.cancel();
  timeout.end();
  const [, path] = (response.headers.get('location') ?? '').split(`${PATH}/`);
  return path === '' ? undefined : path;
}

/**
 * Whether an object exists that must not be read: the server does not begin an upload that would create it. What it
 * does begin is ended at once. `undefined`: it cannot be known.
 */
export async function probeExistence(
  connection: SupabaseConnection,
  { bucket, key, signal }: { bucket: string; key: string; signal: AbortSignal },
): Promise<boolean | undefined> {
  const begun = await connection.request({
    method: 'POST',
    path: PATH,
    effect: 'read',
    signal,
    headers: { ...TUS, ...uploadHeaders({ bucketName: bucket, objectName: key }, 1, false) },
  });
  if (begun.kind === 'conflict') return true;
  if (begun.kind !== 'ok') return undefined;
  const upload = await uploadIn(begun.value);
  if (upload !== undefined) await abandonUpload(connection, { upload, operationId: '' }, signal);
  return false;
}

/** Ends an upload that will not be finished; the server would keep its parts for a day. */
export async function abandonUpload(
  connection: SupabaseConnection,
  saved: unknown,
  signal: AbortSignal,
): Promise<BackendResult<undefined>> {
  if (!isSaved(saved)) return ok(undefined);
  const answered = await connection.request({
    method: 'DELETE',
    path: `${PATH}/${saved.upload}`,
    effect: 'read',
    signal,
    headers: TUS,
  });
  if (answered.kind === 'notFound') return ok(undefined);
  if (answered.kind !== 'ok') return answered;
  await answered.value.response.body?.cancel();
  answered.value.timeout.end();
  return ok(undefined);
}

/**
 * 409 and 423 mean that another request holds the upload, 404 and 410 that it no longer exists: the next
 * attempt reads the offset, or starts a new upload.
 */
function partFailure(failure: StorageFailure): StorageFailure {
  const isAboutUpload = failure.kind === 'conflict' || failure.kind === 'notFound';
  return isAboutUpload && failure.code !== 'KeyAlreadyExists'
    ? { ...failure, kind: 'transient' }
    : failure;
}

function isSaved(value: unknown): value is Saved {
  return (
    isRecord(value) &&
    typeof value['upload'] === 'string' &&
    typeof value['operationId'] === 'string'
  );
}
