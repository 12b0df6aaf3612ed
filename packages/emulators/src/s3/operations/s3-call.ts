import type { Clock } from '@holdfast/foundation';
import type { HttpResponse } from '../../serving/http-listener.ts';
import { type PolicyDecision, parsePolicy } from './policy.ts';
import type { ReceiveLimits } from './receive.ts';
import { s3Error } from '../wire/error.ts';
import type { S3Request } from '../wire/request.ts';
import type { Caller } from '../wire/signature.ts';
import { type ObjectStore, type StoredBucket, bucketNamed } from '../store.ts';
import { type XmlElement, writeXml } from '../wire/xml.ts';

interface S3Limits extends ReceiveLimits {
  /** Below this a part other than the last is EntityTooSmall. */
  readonly minPartBytes: number;
}

/** One authenticated request on its way through the server. */
export interface S3Call {
  readonly request: S3Request;
  readonly caller: Caller;
  readonly store: ObjectStore;
  readonly limits: S3Limits;
  readonly clock: Clock;
}

/** Largest document a client may send: a thousand keys of the greatest length. */
const MAX_DOCUMENT_BYTES = 2_097_152;

/** What may always be done by the bucket's owner, lest a policy lock them out for good. */
const POLICY_ACTIONS = new Set([
  's3:GetBucketPolicy',
  's3:PutBucketPolicy',
  's3:DeleteBucketPolicy',
]);

export function xmlResponse(
  document: XmlElement,
  headers: HttpResponse['headers'] = {},
): HttpResponse {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml', ...headers },
    body: writeXml(document),
  };
}

/** The bucket a call is about, once it is known that its caller may do that to the bucket or its key. */
export function requirePermission(
  call: S3Call,
  action: string,
  key: string = call.request.key,
): StoredBucket {
  const bucket = bucketNamed(call.store, call.request.bucket);
  if (!isPermitted(call, bucket, call.request.bucket, action, key)) throw s3Error('AccessDenied');
  return bucket;
}

export function isPermitted(
  { caller }: S3Call,
  bucket: StoredBucket,
  name: string,
  action: string,
  key: string,
): boolean {
  const resource = `arn:aws:s3:::${name}${key === '' ? '' : `/${key}`}`;
  const verdict: PolicyDecision =
    bucket.policy === undefined
      ? undefined
      : parsePolicy(bucket.policy).decide(caller.accessKeyId, action, resource);
  const isOwner = caller.accessKeyId === bucket.owner;
  if (isOwner && POLICY_ACTIONS.has(action)) return true;
  return verdict === 'allow' || (isOwner && verdict === undefined);
}

/** The answer to who asks for a key that is not there: only who may list is told so. */
export function absentKey(call: S3Call, bucket: StoredBucket): Error {
  const { bucket: name } = call.request;
  const mayList = isPermitted(call, bucket, name, 's3:ListBucket', '');
  return s3Error(mayList ? 'NoSuchKey' : 'AccessDenied');
}

/** A document in the body, whole. */
export async function documentOf({ request }: S3Call): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of request.body()) {
    size += piece.length;
    if (size > MAX_DOCUMENT_BYTES) throw s3Error('MalformedXML', 'The document is too long.');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
