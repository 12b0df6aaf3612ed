import { createHash, randomUUID } from 'node:crypto';
import {
  type ChecksumName,
  checksumNamed,
  compositeChecksum,
  createChecksum,
} from '../wire/checksums.ts';
import { writeCondition } from './conditions.ts';
import { describeObject } from './description.ts';
import type { HttpResponse } from '../../serving/http-listener.ts';
import { countOf } from './listing.ts';
import { assertStillMatches, checksumHeaders, copySource, objectPath } from './objects.ts';
import { type S3Call, documentOf, isoTime, requirePermission, xmlResponse } from './s3-call.ts';
import { parseRange } from '../../serving/range.ts';
import { receiveBody } from './receive.ts';
import { s3Error } from '../wire/error.ts';
import {
  type ObjectStore,
  type StoredChecksum,
  type StoredPart,
  type StoredUpload,
} from '../store.ts';
import { sizeOf, spansOf } from '../../object-files/pieces.ts';
import { type ParsedElement, type XmlElement, childText, parseXml } from '../wire/xml.ts';

const MAX_PARTS = 10_000;
const NUMBER_DIGITS = 5;

export async function createMultipartUpload(call: S3Call): Promise<HttpResponse> {
  const { request, store, clock } = call;
  requirePermission(call, 's3:PutObject');
  const algorithm = request.header('x-amz-checksum-algorithm');
  const checksumName = checksumNamed(algorithm ?? '');
  if (algorithm !== undefined && checksumName === undefined) {
    throw s3Error('InvalidRequest', 'The checksum algorithm is not known.');
  }
  const requested = request.header('x-amz-checksum-type');
  const checksumType =
    requested === 'FULL_OBJECT' || (requested === undefined && checksumName === 'CRC64NVME')
      ? 'FULL_OBJECT'
      : 'COMPOSITE';
  const id = randomUUID().replaceAll('-', '');
  store.uploads.set(id, {
    ...describeObject(request),
    bucket: request.bucket,
    key: request.key,
    initiatedMs: Math.trunc(clock.epochMs()),
    checksumName,
    checksumType,
  });
  const headers = {
    ...(checksumName !== undefined && {
      'x-amz-checksum-algorithm': checksumName,
      'x-amz-checksum-type': checksumType,
    }),
  };
  return xmlResponse(
    ['InitiateMultipartUploadResult', [...addressOf(call), ['UploadId', id]]],
    headers,
  );
}

export async function uploadPart(call: S3Call): Promise<HttpResponse> {
  const { request, caller, store, limits, clock } = call;
  requirePermission(call, 's3:PutObject');
  const { id, upload } = uploadOf(call);
  const number = partNumberOf(call);
  const { checksumName } = upload;
  const received = await receiveBody(request, caller.payload, store, limits, checksumName);
  const { blob, size, md5, checksum } = received;
  await storePart(store, id, number, {
    blob,
    size,
    etag: md5,
    modifiedMs: Math.trunc(clock.epochMs()),
    checksum: checksum?.name === checksumName ? checksum?.value : undefined,
  });
  const stored = checksum === undefined ? undefined : { ...checksum, type: 'FULL_OBJECT' as const };
  const { 'x-amz-checksum-type': _, ...headers } = checksumHeaders(stored);
  return { status: 200, headers: { etag: `"${md5}"`, ...headers } };
}

export async function uploadPartCopy(call: S3Call): Promise<HttpResponse> {
  const { request, store, limits, clock } = call;
  requirePermission(call, 's3:PutObject');
  const { id, upload } = uploadOf(call);
  const number = partNumberOf(call);
  const { object } = copySource(call);
  const range = parseRange(request.header('x-amz-copy-source-range'), object.size);
  if (range === undefined) throw s3Error('InvalidRange');
  const { first, last } = range;
  if (last - first + 1 > limits.maxStoredBytes - store.storedBytes) {
    throw s3Error('InsufficientStorage');
  }
  const md5 = createHash('md5');
  const { checksumName } = upload;
  const checksum = checksumName === undefined ? undefined : createChecksum(checksumName);
  const source = store.blobs.read(spansOf(object.pieces, first, last));
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const piece of source) {
      if (!(piece instanceof Uint8Array)) continue;
      md5.update(piece);
      checksum?.update(piece);
      yield piece;
    }
  }
  const { blob, size } = await store.blobs.write(hashed());
  const etag = md5.digest('hex');
  const modifiedMs = Math.trunc(clock.epochMs());
  const part = { blob, size, etag, modifiedMs, checksum: checksum?.digest() };
  await storePart(store, id, number, part);
  return xmlResponse([
    'CopyPartResult',
    [
      ['ETag', `"${etag}"`],
      ['LastModified', isoTime(modifiedMs)],
    ],
  ]);
}

/** Stores a part. Rejects when the upload was completed or aborted while the part was received. */
async function storePart(
  store: ObjectStore,
  id: string,
  number: number,
  part: StoredPart,
): Promise<void> {
  if (store.uploads.get(id) !== undefined) {
    await store.replace(store.parts, partPath(id, number), part);
    return;
  }
  await store.blobs.remove(part.blob);
  throw s3Error('NoSuchUpload');
}

export async function listParts(call: S3Call): Promise<HttpResponse> {
  requirePermission(call, 's3:ListMultipartUploadParts');
  const { query } = call.request;
  const { id } = uploadOf(call);
  const maxParts = countOf(query.get('max-parts'), 'max-parts');
  const marker = Number(query.get('part-number-marker') ?? '0');
  const later = partsOf(call.store, id).filter(({ number }) => number > marker);
  const shown = later.slice(0, maxParts);
  return xmlResponse([
    'ListPartsResult',
    [
      ...addressOf(call),
      ['UploadId', id],
      ['PartNumberMarker', marker],
      ['NextPartNumberMarker', shown.at(-1)?.number ?? 0],
      ['MaxParts', maxParts],
      ['IsTruncated', shown.length < later.length],
      ...shown.map(({ number, part }): XmlElement => [
        'Part',
        [
          ['PartNumber', number],
          ['LastModified', isoTime(part.modifiedMs)],
          ['ETag', `"${part.etag}"`],
          ['Size', part.size],
        ],
      ]),
    ],
  ]);
}

export async function listMultipartUploads(call: S3Call): Promise<HttpResponse> {
  requirePermission(call, 's3:ListBucketMultipartUploads', '');
  const { bucket, query } = call.request;
  const prefix = query.get('prefix') ?? '';
  const maxUploads = countOf(query.get('max-uploads'), 'max-uploads');
  const found = call.store.uploads.keys().flatMap((id) => {
    const upload = call.store.uploads.get(id);
    const isShown = upload?.bucket === bucket && upload.key.startsWith(prefix);
    return isShown ? [{ id, upload }] : [];
  });
  return xmlResponse([
    'ListMultipartUploadsResult',
    [
      ['Bucket', bucket],
      ['Prefix', prefix],
      ['MaxUploads', maxUploads],
      ['IsTruncated', found.length > maxUploads],
      ...found.slice(0, maxUploads).map(({ id, upload }): XmlElement => [
        'Upload',
        [
          ['Key', upload.key],
          ['UploadId', id],
          ['Initiated', isoTime(upload.initiatedMs)],
        ],
      ]),
    ],
  ]);
}

export async function abortMultipartUpload(call: S3Call): Promise<HttpResponse> {
  requirePermission(call, 's3:AbortMultipartUpload');
  const { store } = call;
  const { id } = uploadOf(call);
  store.uploads.delete(id);
  for (const { path } of partsOf(store, id)) await store.replace(store.parts, path, undefined);
  return { status: 204 };
}

export async function completeMultipartUpload(call: S3Call): Promise<HttpResponse> {
  const { request, store, limits, clock } = call;
  requirePermission(call, 's3:PutObject');
  const condition = writeCondition(request);
  const path = objectPath(request.bucket, request.key);
  const seen = store.objects.get(path);
  const document = parseXml((await documentOf(call)).toString('utf8'));
  const { id, upload } = uploadOf(call);
  condition.check(seen);
  const known = new Map(partsOf(store, id).map((each) => [each.number, each]));
  const chosen = listedParts(document).map(({ number, etag, element }) => {
    const found = known.get(number);
    const checksumIs = upload.checksumName && childText(element, `Checksum${upload.checksumName}`);
    const differs = checksumIs !== undefined && checksumIs !== found?.part.checksum;
    if (found === undefined || found.part.etag !== etag || differs) throw s3Error('InvalidPart');
    return found;
  });
  const parts = chosen.map(({ part }) => part);
  if (parts.slice(0, -1).some(({ size }) => size < limits.minPartBytes)) {
    throw s3Error('EntityTooSmall');
  }
  const size = sizeOf(parts);
  if (size > limits.maxObjectBytes) throw s3Error('EntityTooLarge');
  const pieces = parts.map((part) => ({ blob: part.blob, size: part.size }));
  const checksum = await checksumOf(store, upload, parts);
  const hashes = parts.map(({ etag }) => Buffer.from(etag, 'hex'));
  const etag = `${createHash('md5').update(Buffer.concat(hashes)).digest('hex')}-${parts.length}`;
  const { headers, metadata } = upload;
  // Another request may have completed or aborted the upload while the checksum was computed.
  if (store.uploads.get(id) === undefined) throw s3Error('NoSuchUpload');
  const modifiedMs = Math.trunc(clock.epochMs());
  const object = { headers, metadata, etag, size, modifiedMs, checksum, pieces };
  assertStillMatches(store, path, condition, seen);
  store.uploads.delete(id);
  await store.replace(store.objects, path, object);
  const used = new Set(chosen);
  for (const each of known.values()) {
    if (used.has(each)) store.releaseBytes(each.path);
    else await store.replace(store.parts, each.path, undefined);
  }
  const checksumElement: XmlElement[] =
    checksum === undefined
      ? []
      : [
          [`Checksum${checksum.name}`, checksum.value],
          ['ChecksumType', checksum.type],
        ];
  const address = [...addressOf(call), ['Location', request.rawPath] as const];
  return xmlResponse([
    'CompleteMultipartUploadResult',
    [...address, ['ETag', `"${etag}"`], ...checksumElement],
  ]);
}

function listedParts(
  document: ParsedElement | undefined,
): { number: number; etag: string; element: ParsedElement }[] {
  if (document?.name !== 'CompleteMultipartUpload') throw s3Error('MalformedXML');
  const listed = document.elements
    .filter(({ name }) => name === 'Part')
    .map((element) => ({
      element,
      number: Number(childText(element, 'PartNumber')),
      etag: (childText(element, 'ETag') ?? '').replaceAll('"', ''),
    }));
  if (listed.length === 0) throw s3Error('MalformedXML');
  const isAscending = listed.every(({ number }, at) => number > (listed[at - 1]?.number ?? 0));
  if (!isAscending) throw s3Error('InvalidPartOrder');
  return listed;
}

async function checksumOf(
  store: ObjectStore,
  { checksumName, checksumType }: StoredUpload,
  parts: readonly StoredPart[],
): Promise<StoredChecksum | undefined> {
  if (checksumName === undefined) return undefined;
  if (checksumType === 'FULL_OBJECT') {
    return {
      name: checksumName,
      value: await fullChecksum(store, checksumName, parts),
      type: checksumType,
    };
  }
  const sums = parts.flatMap(({ checksum }) => (checksum === undefined ? [] : [checksum]));
  if (sums.length < parts.length) return undefined;
  return { name: checksumName, value: compositeChecksum(checksumName, sums), type: checksumType };
}

async function fullChecksum(
  { blobs }: ObjectStore,
  name: ChecksumName,
  parts: readonly StoredPart[],
): Promise<string> {
  const checksum = createChecksum(name);
  for await (const piece of blobs.read(spansOf(parts))) {
    if (piece instanceof Uint8Array) checksum.update(piece);
  }
  return checksum.digest();
}

function uploadOf({ request, store }: S3Call): { id: string; upload: StoredUpload } {
  const id = request.query.get('uploadId') ?? '';
  const upload = store.uploads.get(id);
  if (upload?.bucket !== request.bucket || upload.key !== request.key)
    throw s3Error('NoSuchUpload');
  return { id, upload };
}

function partNumberOf({ request }: S3Call): number {
  const number = Number(request.query.get('partNumber'));
  if (Number.isInteger(number) && number >= 1 && number <= MAX_PARTS) return number;
  throw s3Error('InvalidArgument', `Part number must be an integer between 1 and ${MAX_PARTS}`);
}

function partPath(id: string, number: number): string {
  return `${id}/${String(number).padStart(NUMBER_DIGITS, '0')}`;
}

interface NumberedPart {
  readonly path: string;
  readonly number: number;
  readonly part: StoredPart;
}

/** The parts of an upload, sorted by number. */
function partsOf(store: ObjectStore, id: string): NumberedPart[] {
  return store.parts.keys().flatMap((path) => {
    const part = path.startsWith(`${id}/`) ? store.parts.get(path) : undefined;
    return part === undefined ? [] : [{ path, number: Number(path.slice(id.length + 1)), part }];
  });
}

function addressOf({ request }: S3Call): XmlElement[] {
  return [
    ['Bucket', request.bucket],
    ['Key', request.key],
  ];
}
