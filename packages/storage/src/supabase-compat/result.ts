import { types } from 'node:util';
import { HoldfastError, isHoldfastError } from '@holdfast/foundation';
import type { StorageFailure } from '../backend.ts';
import {
  InvalidKeyError,
  ObjectRefusedError,
  StorageDeniedError,
  StorageUnavailableError,
} from '../errors.ts';
import { type ErrorParts, storageError } from './storage-error.ts';

/**
 * An error as supabase-js returns it: `isStorageError` of storage-js knows it, and it is a `StorageApiError` where
 * the installed supabase-js exports that class.
 */
export interface BucketError extends Error {
  /** The code of Supabase Storage, such as `NoSuchKey`; this package's own where Supabase has none. */
  readonly code: string;
  readonly status: number;
  readonly statusCode: string;
  /** The error of this package, which says what was tried and what comes next. */
  readonly cause: unknown;
}

/** `{ data, error }` as supabase-js returns it: one of the two is null. */
export type BucketResult<T> =
  | { readonly data: T; readonly error: null }
  | { readonly data: null; readonly error: BucketError };

/** A call or an option of supabase-js that a durable storage cannot guarantee; nothing was done. */
export class NotSupportedError extends HoldfastError {
  readonly code = 'STORAGE_NOT_SUPPORTED';

  constructor(call: string, reason: string, remedy: string) {
    super(`${call}: ${reason}; ${remedy}`, { outcome: 'not-applied' });
  }
}

/** The object exists and was not to be replaced; nothing was stored. */
export class ObjectExistsError extends HoldfastError {
  readonly code = 'STORAGE_EXISTS';

  constructor(call: string, path: string) {
    super(
      `${call} of ${JSON.stringify(path)}: it exists already; give upsert: true to replace it`,
      { outcome: 'not-applied' },
    );
  }
}

/** The primary has no such bucket; nothing was stored. */
export class BucketAbsentError extends HoldfastError {
  readonly code = 'STORAGE_NO_BUCKET';

  constructor(call: string, bucket: string) {
    super(`${call}: the bucket ${JSON.stringify(bucket)} does not exist; create it first`, {
      outcome: 'not-applied',
    });
  }
}

const noBucket: ErrorParts = { code: 'NoSuchBucket', status: 404, message: 'Bucket not found' };
const noObject: ErrorParts = { code: 'NoSuchKey', status: 404, message: 'Object not found' };
const exists: ErrorParts = {
  code: 'KeyAlreadyExists',
  status: 409,
  message: 'The resource already exists',
};

const statuses: Readonly<Record<string, number>> = {
  STORAGE_INVALID_BODY: 400,
  STORAGE_BODY_NOT_REPEATABLE: 400,
  INVALID_OPTION: 400,
  STORAGE_NOT_SUPPORTED: 501,
  STORAGE_FULL: 507,
};

/** The code, the status and the words of supabase-js, where it has some. */
function partsOf(error: HoldfastError, contentType: string | undefined): ErrorParts {
  const { code, message } = error;
  const own = { code, message, status: statuses[code] ?? 503 };
  if (code === 'STORAGE_NOT_FOUND') return noObject;
  if (code === 'STORAGE_NO_BUCKET') return noBucket;
  if (code === 'STORAGE_EXISTS') return exists;
  if (error instanceof InvalidKeyError) {
    return { code: 'InvalidKey', status: 400, message: `Invalid key: ${error.key}` };
  }
  if (error instanceof ObjectRefusedError) {
    return refusalOf(error.failure, { ...own, status: 400 }, contentType);
  }
  return error instanceof StorageUnavailableError || error instanceof StorageDeniedError
    ? unavailableOf(error, own)
    : own;
}

function refusalOf(
  { code }: StorageFailure,
  own: ErrorParts,
  contentType: string | undefined,
): ErrorParts {
  if (code === 'EntityTooLarge') {
    return { code, status: 413, message: 'The object exceeded the maximum allowed size' };
  }
  if (code === 'InvalidMimeType') {
    return { code, status: 415, message: `mime type ${contentType} is not supported` };
  }
  return code === undefined ? own : { ...own, code };
}

/** What the primary said decides, if it said anything. */
function unavailableOf(
  { attempts }: StorageUnavailableError | StorageDeniedError,
  own: ErrorParts,
): ErrorParts {
  const said = attempts[0]?.failure;
  if (said?.code === 'NoSuchBucket') return noBucket;
  if (said?.kind !== 'denied') return own;
  const isLacking = said.right !== undefined || said.code === undefined;
  return { ...own, code: isLacking ? 'AccessDenied' : said.code, status: 403 };
}

export interface ResultOptions {
  /** Whether errors are thrown instead of returned. */
  readonly throws: boolean;
  /** Whose abort is an error like any other. */
  readonly signal?: AbortSignal | undefined;
  /** Of an upload. */
  readonly contentType?: string | undefined;
}

/** The error of supabase-js for an error of this package or an abort; any other error is thrown. */
async function toBucketError(
  cause: unknown,
  { signal, contentType }: Omit<ResultOptions, 'throws'> = {},
): Promise<BucketError> {
  if (signal?.aborted === true && cause === signal.reason) {
    const seen = cause instanceof Error ? cause.message : String(cause);
    const message = /abort/i.test(seen) ? seen : `The operation was aborted: ${seen}`;
    return storageError({ code: 'Aborted', status: 499, message }, cause);
  }
  if (!isHoldfastError(cause)) throw cause;
  return storageError(partsOf(cause, contentType), cause);
}

/** Turns an error into a value, or throws it after `throwOnError()`. */
export async function asResult<T>(
  options: ResultOptions,
  work: () => Promise<T>,
): Promise<BucketResult<T>> {
  try {
    return { data: await work(), error: null };
  } catch (cause) {
    const error = await toBucketError(cause, options);
    if (options.throws) throw error;
    return { data: null, error };
  }
}

/** Whether supabase-js itself made the error, or {@link toBucketError}. */
export function isBucketError(error: unknown): error is BucketError {
  return types.isNativeError(error) && 'statusCode' in error && 'code' in error;
}
