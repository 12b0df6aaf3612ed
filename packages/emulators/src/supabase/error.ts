import { HoldfastError } from '@holdfast/foundation';

/** Error codes of Supabase Storage. */
export type SupabaseErrorReason =
  | 'AccessDenied'
  | 'BucketAlreadyExists'
  | 'DatabaseReadOnly'
  | 'DatabaseTimeout'
  | 'EntityTooLarge'
  | 'InternalError'
  | 'InvalidBucketName'
  | 'InvalidJWT'
  | 'InvalidKey'
  | 'InvalidMimeType'
  | 'InvalidParameter'
  | 'InvalidRange'
  | 'InvalidRequest'
  | 'InvalidSignature'
  | 'KeyAlreadyExists'
  | 'MissingParameter'
  | 'NoSuchBucket'
  | 'NoSuchKey'
  | 'ResourceAlreadyExists'
  | 'ResourceNotEmpty';

/** The status, the message, and the `error` field where it differs from the code. */
const errors: Readonly<Record<SupabaseErrorReason, readonly [number, string, string?]>> = {
  AccessDenied: [403, 'Access denied', 'Unauthorized'],
  BucketAlreadyExists: [409, 'The resource already exists', 'Duplicate'],
  DatabaseReadOnly: [503, 'The database is currently in read-only mode. Please try again later.'],
  DatabaseTimeout: [544, 'The connection to the database timed out'],
  EntityTooLarge: [413, 'The object exceeded the maximum allowed size', 'Payload too large'],
  InternalError: [500, 'Internal server error'],
  InvalidBucketName: [400, 'Bucket name invalid', 'Invalid Input'],
  InvalidJWT: [400, 'Invalid JWT'],
  InvalidKey: [400, 'Invalid key'],
  InvalidMimeType: [415, 'mime type is not supported', 'invalid_mime_type'],
  InvalidParameter: [400, 'Invalid Parameter'],
  InvalidRange: [400, 'invalid range provided', 'invalid_range'],
  InvalidRequest: [400, 'The request is not valid', 'Error'],
  InvalidSignature: [400, 'Invalid signature'],
  KeyAlreadyExists: [409, 'The resource already exists', 'Duplicate'],
  MissingParameter: [400, 'Missing Required Parameter'],
  NoSuchBucket: [404, 'Bucket not found', 'Bucket not found'],
  NoSuchKey: [404, 'Object not found', 'not_found'],
  ResourceAlreadyExists: [409, 'The resource already exists', 'Duplicate'],
  ResourceNotEmpty: [409, 'The bucket you tried to delete is not empty'],
};

/** An error response of Supabase Storage. */
export class SupabaseError extends HoldfastError {
  readonly code = 'SUPABASE_STORAGE_ERROR';
  readonly reason: string;
  /** The status in the body; the HTTP status is 400 for most errors. */
  readonly statusCode: number;
  readonly error: string;

  constructor(statusCode: number, reason: string, message: string, error: string = reason) {
    super(message, { outcome: 'not-applied' });
    this.statusCode = statusCode;
    this.reason = reason;
    this.error = error;
  }
}

/** @param message replaces the usual message of the error. */
export function supabaseError(reason: SupabaseErrorReason, message?: string): SupabaseError {
  const [statusCode, usual, error] = errors[reason];
  return new SupabaseError(statusCode, reason, message ?? usual, error);
}
