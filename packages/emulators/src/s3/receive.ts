import { createHash } from 'node:crypto';
import {
  CHECKSUMS,
  type ChecksumName,
  checksumHeader,
  checksumNamed,
  createChecksum,
} from './checksums.ts';
import { unframed } from './chunked.ts';
import { refuse } from './refusal.ts';
import type { S3Request } from './request.ts';
import { type PayloadClaim, isSame } from './signature.ts';
import type { ObjectStore } from './store.ts';

/** A body that was taken in and is what its sender said it is. */
export interface Received {
  readonly blob: string;
  readonly size: number;
  /** In hexadecimal. */
  readonly md5: string;
  readonly checksum: { readonly name: ChecksumName; readonly value: string } | undefined;
}

export interface ReceiveLimits {
  readonly maxObjectBytes: number;
  readonly maxStoredBytes: number;
}

/**
 * Streams a body into the store while every checksum that came with it is computed; on the first that
 * does not match nothing is kept.
 * @param wanted computed even when the client sends none.
 * @throws S3RefusalError
 */
export async function receiveBody(
  request: S3Request,
  payload: PayloadClaim,
  store: ObjectStore,
  { maxObjectBytes, maxStoredBytes }: ReceiveLimits,
  wanted?: ChecksumName,
): Promise<Received> {
  const declared = declaredLength(request, payload);
  if (declared > maxObjectBytes) throw refuse('EntityTooLarge');
  if (declared > maxStoredBytes - store.storedBytes) throw refuse('InsufficientStorage');
  const claimed = claimedChecksum(request);
  const name = claimed.name ?? wanted;
  const checksum = name === undefined ? undefined : createChecksum(name);
  const md5 = createHash('md5');
  const sha256 = payload.kind === 'hashed' ? createHash('sha256') : undefined;
  let checksumValue: string | undefined;
  let md5Value = '';

  async function* verified(): AsyncGenerator<Uint8Array> {
    let size = 0;
    let expected = claimed.value;
    const onTrailer = (trailer: string, value: string): void => {
      if (name !== undefined && trailer === checksumHeader(name)) expected = value;
    };
    const body = request.body();
    const pieces = payload.kind === 'framed' ? unframed(body, payload.chunks, onTrailer) : body;
    for await (const piece of pieces) {
      size += piece.length;
      if (size > declared) throw refuse('IncompleteBody');
      md5.update(piece);
      sha256?.update(piece);
      checksum?.update(piece);
      yield piece;
    }
    if (size < declared) throw refuse('IncompleteBody');
    md5Value = md5.digest('hex');
    checksumValue = checksum?.digest();
    const given = request.header('content-md5');
    if (given !== undefined && !isMd5(given)) throw refuse('InvalidDigest');
    if (given !== undefined && Buffer.from(given, 'base64').toString('hex') !== md5Value) {
      throw refuse('BadDigest', 'The Content-MD5 you specified did not match what we received.');
    }
    if (payload.kind === 'hashed' && !isSame(sha256?.digest('hex') ?? '', payload.sha256)) {
      throw refuse('XAmzContentSHA256Mismatch');
    }
    if (expected !== undefined && expected !== checksumValue) {
      throw refuse('BadDigest', `The ${name} you specified did not match what we received.`);
    }
  }

  const { blob, size } = await store.blobs.write(verified());
  const stored =
    name === undefined || checksumValue === undefined ? undefined : { name, value: checksumValue };
  return { blob, size, md5: md5Value, checksum: stored };
}

function declaredLength(request: S3Request, payload: PayloadClaim): number {
  const header = payload.kind === 'framed' ? 'x-amz-decoded-content-length' : 'content-length';
  const given = request.header(header);
  if (given === undefined) throw refuse('MissingContentLength');
  const length = Number(given);
  if (!Number.isSafeInteger(length) || length < 0) throw refuse('InvalidArgument', `Bad ${header}`);
  return length;
}

/** The checksum that a request carries, in a header or, its value still to come, in a trailer. */
function claimedChecksum(request: S3Request): { name?: ChecksumName; value?: string } {
  const named = CHECKSUMS.filter((name) => request.header(checksumHeader(name)) !== undefined);
  if (named.length > 1) throw refuse('InvalidRequest', 'Only one checksum may be given.');
  const [name] = named;
  if (name !== undefined) {
    const value = request.header(checksumHeader(name));
    return value === undefined ? { name } : { name, value };
  }
  const announced = request.header('x-amz-trailer') ?? '';
  const trailing = checksumNamed(announced.trim().replace(/^x-amz-checksum-/, ''));
  if (trailing !== undefined) return { name: trailing };
  const asked = checksumNamed(request.header('x-amz-sdk-checksum-algorithm') ?? '');
  return asked === undefined ? {} : { name: asked };
}

function isMd5(base64: string): boolean {
  return /^[A-Za-z0-9+/]{22}==$/.test(base64);
}
