import { HoldfastError, isHoldfastError } from '@holdfast/foundation';

/** An error as supabase-js returns it: a value, with a code and a status. */
export interface BucketError {
  readonly name: string;
  readonly message: string;
  readonly code: string;
  readonly statusCode: string;
  readonly status: number;
  readonly cause: unknown;
}

export type BucketResult<T> =
  | { readonly data: T; readonly error: null }
  | { readonly data: null; readonly error: BucketError };

/** A call of supabase-js that a durable storage cannot guarantee. */
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
      {
        outcome: 'not-applied',
      },
    );
  }
}

const statuses: Readonly<Record<string, number>> = {
  STORAGE_NOT_FOUND: 404,
  STORAGE_EXISTS: 409,
  STORAGE_INVALID_KEY: 400,
  STORAGE_INVALID_BODY: 400,
  STORAGE_BODY_NOT_REPEATABLE: 400,
  STORAGE_REFUSED: 400,
  INVALID_OPTION: 400,
  STORAGE_NOT_SUPPORTED: 501,
  STORAGE_FULL: 507,
};

/** Turns an error of this package into a value; any other error is thrown. */
export async function asResult<T>(work: () => Promise<T>): Promise<BucketResult<T>> {
  try {
    return { data: await work(), error: null };
  } catch (cause) {
    if (!isHoldfastError(cause)) throw cause;
    const { name, message, code } = cause;
    const status = statuses[code] ?? 503;
    const error = { name, message, code, status, statusCode: String(status), cause };
    return { data: null, error };
  }
}
