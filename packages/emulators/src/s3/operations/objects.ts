import { checksumHeader } from '../wire/checksums.ts';
import { type WriteCondition, evaluateReadConditions, writeCondition } from './conditions.ts';
import { describeObject } from './description.ts';
import type { HttpResponse } from '../../serving/http-listener.ts';
import {
  type S3Call,
  absentKey,
  documentOf,
  isPermitted,
  isoTime,
  requirePermission,
  xmlResponse,
} from './s3-call.ts';
import { parseRange, rangeHeaders } from '../../serving/range.ts';
import { receiveBody } from './receive.ts';
import { S3Error, s3Error } from '../wire/error.ts';
import { type ObjectStore, type StoredBucket, type StoredObject, bucketNamed } from '../store.ts';
import { duplicatePieces, removePieces, spansOf } from '../../object-files/pieces.ts';
import { type XmlElement, childText, parseXml } from '../wire/xml.ts';

const MAX_DELETED_AT_ONCE = 1_000;

export function objectPath(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}

/** The object of a read. @throws S3Error */
function objectFor(
  call: S3Call,
  bucket: StoredBucket,
  path: string = objectPath(call.request.bucket, call.request.key),
): StoredObject {
  const object = call.store.objects.get(path);
  if (object === undefined) throw absentKey(call, bucket);
  return object;
}

/**
 * Checks the condition of a write again after its body was received.
 * @param seen the object when the request arrived; another write since then is a conflict (409).
 * @throws S3Error
 */
export function assertStillMatches(
  store: ObjectStore,
  path: string,
  condition: WriteCondition,
  seen: StoredObject | undefined,
): void {
  const current = store.objects.get(path);
  if (!condition.isAny && current !== seen) throw s3Error('ConditionalRequestConflict');
  condition.check(current);
}

export async function putObject(call: S3Call): Promise<HttpResponse> {
  const { request, caller, store, limits, clock } = call;
  requirePermission(call, 's3:PutObject');
  const description = describeObject(request);
  const condition = writeCondition(request);
  const path = objectPath(request.bucket, request.key);
  const seen = store.objects.get(path);
  condition.check(seen);
  const { blob, size, md5, checksum } = await receiveBody(request, caller.payload, store, limits);
  const stored = checksum === undefined ? undefined : { ...checksum, type: 'FULL_OBJECT' as const };
  try {
    bucketNamed(store, request.bucket);
    const object: StoredObject = {
      ...description,
      etag: md5,
      size,
      modifiedMs: Math.trunc(clock.epochMs()),
      checksum: stored,
      pieces: [{ blob, size }],
    };
    assertStillMatches(store, path, condition, seen);
    await store.replace(store.objects, path, object);
  } catch (error) {
    await store.blobs.remove(blob);
    throw error;
  }
  return { status: 200, headers: { etag: `"${md5}"`, ...checksumHeaders(stored) } };
}

export async function getObject(call: S3Call): Promise<HttpResponse> {
  const { request, store } = call;
  const bucket = requirePermission(call, 's3:GetObject');
  const object = objectFor(call, bucket);
  const outcome = evaluateReadConditions(request.header, object);
  const validators = {
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.modifiedMs).toUTCString(),
  };
  if (outcome === 'failed') throw s3Error('PreconditionFailed');
  if (outcome === 'not-modified') return { status: 304, headers: validators };
  const { size } = object;
  const range = parseRange(request.header('range'), size);
  if (range === undefined) throw s3Error('InvalidRange');
  const { first, last, isPartial } = range;
  const wantsChecksum = request.header('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
  const metadata = Object.entries(object.metadata);
  const headers = {
    'content-type': 'application/octet-stream',
    ...object.headers,
    ...overrides(call),
    ...Object.fromEntries(metadata.map(([name, value]) => [`x-amz-meta-${name}`, value])),
    ...validators,
    ...rangeHeaders(range, size),
    ...(wantsChecksum && !isPartial && checksumHeaders(object.checksum)),
  };
  const status = isPartial ? 206 : 200;
  if (request.method === 'HEAD') return { status, headers };
  return { status, headers, body: store.blobs.read(spansOf(object.pieces, first, last)) };
}

export async function deleteObject(call: S3Call): Promise<HttpResponse> {
  const { request } = call;
  requirePermission(call, 's3:DeleteObject');
  await deleteIfMatching(call, request.key, request.header('if-match'));
  return { status: 204 };
}

/** Deleting a missing object succeeds, unless there is a condition. */
async function deleteIfMatching(
  { request, store }: S3Call,
  key: string,
  match: string | undefined,
): Promise<void> {
  const path = objectPath(request.bucket, key);
  if (match !== undefined) {
    const etag = store.objects.get(path)?.etag;
    const fits = etag !== undefined && (match === '*' || match.replaceAll('"', '') === etag);
    if (!fits) throw s3Error('PreconditionFailed');
  }
  await store.replace(store.objects, path, undefined);
}

export async function deleteObjects(call: S3Call): Promise<HttpResponse> {
  const { request, store } = call;
  const bucket = bucketNamed(store, request.bucket);
  const document = parseXml((await documentOf(call)).toString('utf8'));
  if (document?.name !== 'Delete') throw s3Error('MalformedXML');
  const listed = document.elements.filter(({ name }) => name === 'Object');
  if (listed.length === 0 || listed.length > MAX_DELETED_AT_ONCE) throw s3Error('MalformedXML');
  const isQuiet = childText(document, 'Quiet') === 'true';
  const results: XmlElement[] = [];
  for (const element of listed) {
    const key = childText(element, 'Key');
    if (key === undefined) throw s3Error('MalformedXML');
    try {
      if (!isPermitted(call, bucket, request.bucket, 's3:DeleteObject', key)) {
        throw s3Error('AccessDenied');
      }
      await deleteIfMatching(call, key, childText(element, 'ETag'));
      if (!isQuiet) results.push(['Deleted', [['Key', key]]]);
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      const { reason, message } = error;
      const failure: XmlElement[] = [
        ['Key', key],
        ['Code', reason],
        ['Message', message],
      ];
      results.push(['Error', failure]);
    }
  }
  return xmlResponse(['DeleteResult', results]);
}

export async function copyObject(call: S3Call): Promise<HttpResponse> {
  const { request, store, clock, limits } = call;
  requirePermission(call, 's3:PutObject');
  const condition = writeCondition(request);
  const path = objectPath(request.bucket, request.key);
  const seen = store.objects.get(path);
  condition.check(seen);
  const source = copySource(call);
  const directive = request.header('x-amz-metadata-directive') ?? 'COPY';
  if (source.path === path && directive !== 'REPLACE') {
    throw s3Error('InvalidRequest', 'An object can be copied to itself only with new metadata.');
  }
  const { object } = source;
  if (object.size > limits.maxStoredBytes - store.storedBytes) throw s3Error('InsufficientStorage');
  const pieces = await duplicatePieces(store.blobs, object.pieces);
  const modifiedMs = Math.trunc(clock.epochMs());
  const description = directive === 'REPLACE' ? describeObject(request) : object;
  const { headers, metadata } = description;
  try {
    const copy = { ...object, headers, metadata, modifiedMs, pieces };
    assertStillMatches(store, path, condition, seen);
    await store.replace(store.objects, path, copy);
  } catch (error) {
    await removePieces(store.blobs, pieces);
    throw error;
  }
  return xmlResponse([
    'CopyObjectResult',
    [
      ['ETag', `"${object.etag}"`],
      ['LastModified', isoTime(modifiedMs)],
    ],
  ]);
}

/** The object of `x-amz-copy-source`, subject to its own conditions and permissions. */
export function copySource(call: S3Call): { path: string; object: StoredObject } {
  const { request, store } = call;
  const given = request.header('x-amz-copy-source') ?? '';
  let path: string;
  try {
    path = decodeURIComponent(given).replace(/^\//, '');
  } catch {
    throw s3Error('InvalidArgument', 'x-amz-copy-source is not in percent encoding.');
  }
  const slash = path.indexOf('/');
  if (slash === -1 || slash === path.length - 1 || given.includes('?')) {
    throw s3Error('InvalidArgument', 'x-amz-copy-source must be a bucket and a key.');
  }
  const name = path.slice(0, slash);
  const bucket = bucketNamed(store, name);
  if (!isPermitted(call, bucket, name, 's3:GetObject', path.slice(slash + 1))) {
    throw s3Error('AccessDenied');
  }
  const object = objectFor(call, bucket, path);
  const conditionOf = (header: string): string | undefined =>
    request.header(`x-amz-copy-source-${header}`);
  if (evaluateReadConditions(conditionOf, object) !== 'send') throw s3Error('PreconditionFailed');
  return { path, object };
}

/** Headers from the query, such as `response-content-type`. Only signed requests may use them. */
function overrides({ request, caller }: S3Call): Record<string, string> {
  const overriding = request.query.pairs.filter(([name]) => name.startsWith('response-'));
  if (overriding.length > 0 && caller.accessKeyId === undefined) throw s3Error('InvalidRequest');
  return Object.fromEntries(
    overriding.map(([name, value]) => [name.slice('response-'.length), value]),
  );
}

export function checksumHeaders(checksum: StoredObject['checksum']): Record<string, string> {
  if (checksum === undefined) return {};
  return {
    [checksumHeader(checksum.name)]: checksum.value,
    'x-amz-checksum-type': checksum.type,
  };
}
