import {
  bucketLocation,
  bucketVersioning,
  createBucket,
  deleteBucket,
  deleteBucketPolicy,
  getBucketPolicy,
  headBucket,
  listBuckets,
  putBucketPolicy,
} from './buckets.ts';
import { listObjects } from './listing.ts';
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadPart,
  uploadPartCopy,
} from './multipart.ts';
import { postObject } from './post-object.ts';
import { assertImplemented } from './unsupported.ts';
import { copyObject, deleteObject, deleteObjects, getObject, putObject } from './objects.ts';
import type { HttpResponse } from '../../serving/http-listener.ts';
import type { S3Call } from './s3-call.ts';
import { s3Error } from '../wire/error.ts';
import type { S3Request } from '../wire/request.ts';

/** Operations by their names in the S3 API. */
type S3Operation =
  | 'ListBuckets'
  | 'CreateBucket'
  | 'HeadBucket'
  | 'DeleteBucket'
  | 'GetBucketLocation'
  | 'GetBucketVersioning'
  | 'GetBucketPolicy'
  | 'PutBucketPolicy'
  | 'DeleteBucketPolicy'
  | 'ListObjects'
  | 'DeleteObjects'
  | 'PutObject'
  | 'PostObject'
  | 'GetObject'
  | 'HeadObject'
  | 'DeleteObject'
  | 'CopyObject'
  | 'CreateMultipartUpload'
  | 'UploadPart'
  | 'UploadPartCopy'
  | 'ListParts'
  | 'ListMultipartUploads'
  | 'CompleteMultipartUpload'
  | 'AbortMultipartUpload';

const operations: Readonly<Record<S3Operation, (call: S3Call) => Promise<HttpResponse>>> = {
  ListBuckets: listBuckets,
  CreateBucket: createBucket,
  HeadBucket: headBucket,
  DeleteBucket: deleteBucket,
  GetBucketLocation: bucketLocation,
  GetBucketVersioning: bucketVersioning,
  GetBucketPolicy: getBucketPolicy,
  PutBucketPolicy: putBucketPolicy,
  DeleteBucketPolicy: deleteBucketPolicy,
  ListObjects: listObjects,
  DeleteObjects: deleteObjects,
  PutObject: putObject,
  PostObject: postObject,
  GetObject: getObject,
  HeadObject: getObject,
  DeleteObject: deleteObject,
  CopyObject: copyObject,
  CreateMultipartUpload: createMultipartUpload,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPartCopy,
  ListParts: listParts,
  ListMultipartUploads: listMultipartUploads,
  CompleteMultipartUpload: completeMultipartUpload,
  AbortMultipartUpload: abortMultipartUpload,
};

export function runOperation(operation: S3Operation, call: S3Call): Promise<HttpResponse> {
  return operations[operation](call);
}

/** The operation of a request. @throws S3Error MethodNotAllowed, NotImplemented */
export function operationOf(request: S3Request): S3Operation {
  const { bucket, key } = request;
  const found =
    bucket === '' ? ofService(request) : key === '' ? ofBucket(request) : ofKey(request);
  assertImplemented(request, found);
  if (found === undefined) throw s3Error('MethodNotAllowed');
  return found;
}

function ofService({ method }: S3Request): S3Operation | undefined {
  return method === 'GET' ? 'ListBuckets' : undefined;
}

function ofBucket({ method, query, header }: S3Request): S3Operation | undefined {
  const isPolicy = query.has('policy');
  switch (method) {
    case 'GET':
      if (isPolicy) return 'GetBucketPolicy';
      if (query.has('location')) return 'GetBucketLocation';
      if (query.has('versioning')) return 'GetBucketVersioning';
      return query.has('uploads') ? 'ListMultipartUploads' : 'ListObjects';
    case 'HEAD':
      return 'HeadBucket';
    case 'PUT':
      return isPolicy ? 'PutBucketPolicy' : 'CreateBucket';
    case 'DELETE':
      return isPolicy ? 'DeleteBucketPolicy' : 'DeleteBucket';
    case 'POST':
      if (query.has('delete')) return 'DeleteObjects';
      return isForm(header('content-type')) ? 'PostObject' : undefined;
    default:
      return undefined;
  }
}

function ofKey({ method, query, header }: S3Request): S3Operation | undefined {
  const isOfUpload = query.has('uploadId');
  const isCopy = header('x-amz-copy-source') !== undefined;
  switch (method) {
    case 'GET':
      return isOfUpload ? 'ListParts' : 'GetObject';
    case 'HEAD':
      return 'HeadObject';
    case 'PUT':
      if (isOfUpload) return isCopy ? 'UploadPartCopy' : 'UploadPart';
      return isCopy ? 'CopyObject' : 'PutObject';
    case 'DELETE':
      return isOfUpload ? 'AbortMultipartUpload' : 'DeleteObject';
    case 'POST':
      if (query.has('uploads')) return 'CreateMultipartUpload';
      return isOfUpload ? 'CompleteMultipartUpload' : undefined;
    default:
      return undefined;
  }
}

function isForm(contentType: string | undefined): boolean {
  return contentType?.toLowerCase().startsWith('multipart/form-data') === true;
}
