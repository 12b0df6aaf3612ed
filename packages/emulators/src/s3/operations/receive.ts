import { createHash } from 'node:crypto';
import {
  CHECKSUMS,
  type ChecksumName,
  checksumHeader,
  checksumNamed,
  createChecksum,
} from '../wire/checksums.ts';
import { decodeChunks } from '../wire/chunked.ts';
import { s3Error } from '../wire/error.ts';
import type { S3Request } from '../wire/request.ts';
import type { PayloadClaim } from '../wire/signature.ts';
import { isEqualInConstantTime } from '../../serving/constant-time.ts';
import type { ObjectStore } from '../store.ts';

/** A stored body that matches its checksums. */
interface ReceivedBody {
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
 * Streams a body into the store and verifies its length and every checksum of the request; after a mismatch
 * nothing is stored.
 * @param wanted a checksum to compute even when the client sends none.
 * @throws S3Error
 */
export async function receiveBody(
  request: S3Request,
  payload: PayloadClaim,
  store: ObjectStore,
  { maxObjectBytes, maxStoredBytes }: ReceiveLimits,
  wanted?: ChecksumName,
): Promise<ReceivedBody> {
  const declared = declaredLength(request, payload);
  if (declared > maxObjectBytes) throw s3Error('EntityTooLarge');
  if (declared > maxStoredBytes - store.storedBytes) throw s3Error('InsufficientStorage');
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
    const pieces = payload.kind === 'framed' ? decodeChunks(body, payload.chunks, onTrailer) : body;
    for await (const piece of pieces) {
      size += piece.length;
      if (size > declared) throw s3Error('IncompleteBody');
      md5.update(piece);
      sha256?.update(piece);
      checksum?.update(piece);
      yield piece;
    }
    if (size < declared) throw s3Error('IncompleteBody');
    md5Value = md5.digest('hex');
    checksumValue = checksum?.digest();
    const given = request.header('content-md5');
    if (given !== undefined && !isMd5(given)) throw s3Error('InvalidDigest');
    if (given !== undefined && Buffer.from(given, 'base64').toString('hex') !== md5Value) {
      throw s3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.');
    }
    if (
      payload.kind === 'hashed' &&
      !isEqualInConstantTime(sha256?.digest('hex') ?? '', payload.sha256)
    ) {
      throw s3Error('XAmzContentSHA256Mismatch');
    }
    if (expected !== undefined && expected !== checksumValue) {
      throw s3Error('BadDigest', `The ${name} you specified did not match what we received.`);
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
  if (given === undefined) throw s3Error('MissingContentLength');
  const length = Number(given);
  if (!Number.isSafeInteger(length) || length < 0)
    throw s3Error('InvalidArgument', `Bad ${header}`);
  return length;
}

/** The checksum of a request: in a header, or announced for a trailer, which has the value. */
function claimedChecksum(request: S3Request): { name?: ChecksumName; value?: string } {
  const named = CHECKSUMS.filter((name) => request.header(checksumHeader(name)) !== undefined);
  if (named.length > 1) throw s3Error('InvalidRequest', 'Only one checksum may be given.');
  const [name] = named;
  if (name !== undefined) {
    const value = request.header(checksumHeader(name));
    return value === undefined ? { name } : { name, value };
  }
  const announced = request.header('x-amz-trailer') ?? '';
  const trailing = checksumNamed(announced.trim().replace(/^x-amz-checksum-/, ''));
  if (trailing !== undefined) return { name: trailing };
  const algorithm = checksumNamed(request.header('x-amz-sdk-checksum-algorithm') ?? '');
  return algorithm === undefined ? {} : { name: algorithm };
}

function isMd5(base64: string): boolean {
  return /^[A-Za-z0-9+/]{22}==$/.test(base64);
}
