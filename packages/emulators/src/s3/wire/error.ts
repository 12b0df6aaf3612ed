import { HoldfastError } from '@holdfast/foundation';

/** An error response of S3. */
export class S3Error extends HoldfastError {
  readonly code = 'S3_ERROR';
  readonly status: number;
  /** The code in the response, such as `NoSuchKey`. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message, { outcome: 'not-applied' });
    this.status = status;
    this.reason = reason;
  }
}

type S3ErrorReason =
  | 'AccessDenied'
  | 'AuthorizationHeaderMalformed'
  | 'AuthorizationQueryParametersError'
  | 'BadDigest'
  | 'BucketAlreadyExists'
  | 'BucketAlreadyOwnedByYou'
  | 'BucketNotEmpty'
  | 'ConditionalRequestConflict'
  | 'EntityTooLarge'
  | 'EntityTooSmall'
  | 'IncompleteBody'
  | 'InsufficientStorage'
  | 'InvalidAccessKeyId'
  | 'InvalidArgument'
  | 'InvalidBucketName'
  | 'InvalidDigest'
  | 'InvalidPart'
  | 'InvalidPartOrder'
  | 'InvalidPolicyDocument'
  | 'InvalidRange'
  | 'InvalidRequest'
  | 'InvalidURI'
  | 'KeyTooLongError'
  | 'MalformedPOSTRequest'
  | 'MalformedPolicy'
  | 'MalformedXML'
  | 'MetadataTooLarge'
  | 'MethodNotAllowed'
  | 'MissingContentLength'
  | 'NoSuchBucket'
  | 'NoSuchBucketPolicy'
  | 'NoSuchKey'
  | 'NoSuchUpload'
  | 'NotImplemented'
  | 'PreconditionFailed'
  | 'RequestTimeTooSkewed'
  | 'SignatureDoesNotMatch'
  | 'XAmzContentSHA256Mismatch';

/** The status and the message of every error, by its code. */
const errors: Readonly<Record<S3ErrorReason, readonly [number, string]>> = {
  AccessDenied: [403, 'Access Denied'],
  AuthorizationHeaderMalformed: [400, 'The authorization header is malformed.'],
  AuthorizationQueryParametersError: [400, 'A query parameter of the signature is malformed.'],
  BadDigest: [400, 'The checksum you specified did not match what we received.'],
  BucketAlreadyExists: [409, 'The requested bucket name is not available.'],
  BucketAlreadyOwnedByYou: [409, 'You already own the bucket you tried to create.'],
  BucketNotEmpty: [409, 'The bucket you tried to delete is not empty.'],
  ConditionalRequestConflict: [409, 'The object was changed while the request was under way.'],
  EntityTooLarge: [400, 'Your proposed upload exceeds the maximum allowed size.'],
  EntityTooSmall: [400, 'A part other than the last is smaller than the minimum allowed size.'],
  IncompleteBody: [400, 'The body is not as long as the request says.'],
  InsufficientStorage: [507, 'The server has no room for this object.'],
  InvalidAccessKeyId: [403, 'The access key id you provided does not exist in our records.'],
  InvalidArgument: [400, 'An argument is not valid.'],
  InvalidBucketName: [400, 'The specified bucket is not valid.'],
  InvalidDigest: [400, 'The Content-MD5 you specified is not valid.'],
  InvalidPart: [400, 'A part could not be found, or its entity tag does not match.'],
  InvalidPartOrder: [400, 'The list of parts is not in ascending order.'],
  InvalidPolicyDocument: [
    400,
    'The content of the form does not meet the conditions of the policy.',
  ],
  InvalidRange: [416, 'The requested range is not satisfiable.'],
  InvalidRequest: [400, 'The request is not valid.'],
  InvalidURI: [400, 'The URI could not be parsed.'],
  KeyTooLongError: [400, 'Your key is too long.'],
  MalformedPOSTRequest: [
    400,
    'The body of your POST request is not well-formed multipart/form-data.',
  ],
  MalformedPolicy: [400, 'The policy is not valid.'],
  MalformedXML: [400, 'The XML you provided was not well-formed or not of our schema.'],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed size.'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  MissingContentLength: [411, 'You must provide the Content-Length header.'],
  NoSuchBucket: [404, 'The specified bucket does not exist.'],
  NoSuchBucketPolicy: [404, 'The bucket has no policy.'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchUpload: [404, 'The specified multipart upload does not exist.'],
  NotImplemented: [501, 'This server does not implement the requested functionality.'],
  PreconditionFailed: [412, 'At least one of the preconditions you specified did not hold.'],
  RequestTimeTooSkewed: [403, 'The request time and the server time differ too much.'],
  SignatureDoesNotMatch: [403, 'The signature we calculated does not match yours.'],
  XAmzContentSHA256Mismatch: [400, 'The x-amz-content-sha256 does not match what we received.'],
};

/** @param message replaces the usual message of the error. */
export function s3Error(reason: S3ErrorReason, message?: string): S3Error {
  const [status, usual] = errors[reason];
  return new S3Error(status, reason, message ?? usual);
}
