import type { Clock } from '@holdfast/foundation';
import { readBytes } from '../../serving/body.ts';
import type { HttpResponse } from '../../serving/http-listener.ts';
import { type PolicyDecision, parsePolicy } from './policy.ts';
import type { ReceiveLimits } from './receive.ts';
import { s3Error } from '../wire/error.ts';
import type { S3Request } from '../wire/request.ts';
import type { Caller, Verifier } from '../wire/signature.ts';
import { type ObjectStore, type StoredBucket, bucketNamed } from '../store.ts';
import { type XmlElement, writeXml } from '../wire/xml.ts';

interface S3Limits extends ReceiveLimits {
  /** A smaller part is EntityTooSmall, unless it is the last. */
  readonly minPartBytes: number;
}

/** An authenticated request and what its operation needs. */
export interface S3Call {
  readonly request: S3Request;
  readonly caller: Caller;
  /** Verifies what the body of a form signs. */
  readonly verifier: Verifier;
  readonly store: ObjectStore;
  readonly limits: S3Limits;
  readonly clock: Clock;
}

/** The largest document of a client: a thousand keys of maximum length. */
const MAX_DOCUMENT_BYTES = 2_097_152;

/** The owner of a bucket may always do these: otherwise a policy could lock the owner out for good. */
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

/** The bucket of a call. @throws S3Error when the caller may not do `action` to the bucket or the key. */
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
  { caller, request }: S3Call,
  bucket: StoredBucket,
  name: string,
  action: string,
  key: string,
): boolean {
  const resource = `arn:aws:s3:::${name}${key === '' ? '' : `/${key}`}`;
  const prefix = request.key === '' ? request.query.get('prefix') : undefined;
  const decision: PolicyDecision =
    bucket.policy === undefined
      ? undefined
      : parsePolicy(bucket.policy).decide(caller.accessKeyId, action, resource, prefix);
  const isOwner = caller.accessKeyId === bucket.owner;
  if (isOwner && POLICY_ACTIONS.has(action)) return true;
  return decision === 'allow' || (isOwner && decision === undefined);
}

/** The error for a missing key. Only a caller who may list the bucket learns that the key does not exist. */
export function absentKey(call: S3Call, bucket: StoredBucket): Error {
  const { bucket: name } = call.request;
  const mayList = isPermitted(call, bucket, name, 's3:ListBucket', '');
  return s3Error(mayList ? 'NoSuchKey' : 'AccessDenied');
}

/** The document in the body. */
export function documentOf({ request }: S3Call): Promise<Buffer> {
  return readBytes(request.body(), MAX_DOCUMENT_BYTES, () =>
    s3Error('MalformedXML', 'The document is too long.'),
  );
}

export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
