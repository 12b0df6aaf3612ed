import type { HttpResponse } from '../../serving/http-listener.ts';
import { parsePolicy } from './policy.ts';
import { type S3Call, documentOf, isoTime, requirePermission, xmlResponse } from './s3-call.ts';
import { s3Error } from '../wire/error.ts';

/** 3 to 63 letters, digits, dots and hyphens, without two dots in a row and not an IP address. */
const NAME = /^(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const REGION = 'us-east-1';
const MAX_POLICY_BYTES = 20_480;

export async function listBuckets({ caller, store }: S3Call): Promise<HttpResponse> {
  const owner = caller.accessKeyId;
  if (owner === undefined) throw s3Error('AccessDenied');
  const own = store.buckets.keys().flatMap((name) => {
    const bucket = store.buckets.get(name);
    return bucket?.owner === owner ? [{ name, createdMs: bucket.createdMs }] : [];
  });
  return xmlResponse([
    'ListAllMyBucketsResult',
    [
      ['Owner', [['ID', owner]]],
      [
        'Buckets',
        own.map(({ name, createdMs }) => [
          'Bucket',
          [
            ['Name', name],
            ['CreationDate', isoTime(createdMs)],
          ],
        ]),
      ],
    ],
  ]);
}

export async function createBucket({
  request,
  caller,
  store,
  clock,
}: S3Call): Promise<HttpResponse> {
  const owner = caller.accessKeyId;
  if (owner === undefined) throw s3Error('AccessDenied');
  if (!NAME.test(request.bucket)) throw s3Error('InvalidBucketName');
  const existing = store.buckets.get(request.bucket);
  if (existing !== undefined) {
    throw s3Error(existing.owner === owner ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists');
  }
  store.buckets.set(request.bucket, {
    owner,
    createdMs: Math.trunc(clock.epochMs()),
    policy: undefined,
  });
  return { status: 200, headers: { location: `/${request.bucket}` } };
}

export async function headBucket(call: S3Call): Promise<HttpResponse> {
  requirePermission(call, 's3:ListBucket');
  return { status: 200, headers: { 'x-amz-bucket-region': REGION } };
}

export async function bucketLocation(call: S3Call): Promise<HttpResponse> {
  requirePermission(call, 's3:GetBucketLocation');
  // Only the region us-east-1 has an empty name.
  return xmlResponse(['LocationConstraint', '']);
}

/** A bucket without versions has an empty configuration. */
export async function bucketVersioning(call: S3Call): Promise<HttpResponse> {
  requirePermission(call, 's3:GetBucketVersioning');
  return xmlResponse(['VersioningConfiguration', '']);
}

export async function deleteBucket(call: S3Call): Promise<HttpResponse> {
  requirePermission(call, 's3:DeleteBucket');
  const { store, request } = call;
  const prefix = `${request.bucket}/`;
  if (store.objects.keys().some((key) => key.startsWith(prefix))) throw s3Error('BucketNotEmpty');
  for (const id of store.uploads.keys()) {
    if (store.uploads.get(id)?.bucket !== request.bucket) continue;
    store.uploads.delete(id);
    for (const part of store.parts.keys()) {
      if (part.startsWith(`${id}/`)) await store.replace(store.parts, part, undefined);
    }
  }
  store.buckets.delete(request.bucket);
  return { status: 204 };
}

export async function getBucketPolicy(call: S3Call): Promise<HttpResponse> {
  const { policy } = requirePermission(call, 's3:GetBucketPolicy');
  if (policy === undefined) throw s3Error('NoSuchBucketPolicy');
  return { status: 200, headers: { 'content-type': 'application/json' }, body: policy };
}

export async function putBucketPolicy(call: S3Call): Promise<HttpResponse> {
  const bucket = requirePermission(call, 's3:PutBucketPolicy');
  const document = await documentOf(call);
  if (document.length > MAX_POLICY_BYTES) throw s3Error('MalformedPolicy', 'Policy is too long.');
  const policy = document.toString('utf8');
  parsePolicy(policy);
  call.store.buckets.set(call.request.bucket, { ...bucket, policy });
  return { status: 204 };
}

export async function deleteBucketPolicy(call: S3Call): Promise<HttpResponse> {
  const bucket = requirePermission(call, 's3:DeleteBucketPolicy');
  call.store.buckets.set(call.request.bucket, { ...bucket, policy: undefined });
  return { status: 204 };
}
