/** What an error of supabase-js consists of. */
export interface ErrorParts {
  readonly code: string;
  readonly status: number;
  readonly message: string;
}

type StorageErrorClass = new (message: string, status: number, statusCode: string) => Error;

/** Stands for `StorageApiError` where supabase-js is not installed, or too old to export it. */
class StorageApiErrorStandIn extends Error {
  readonly status: number;
  readonly statusCode: string;
  /** Is how `isStorageError` of storage-js knows its errors. */
  readonly __isStorageError = true;
  readonly namespace = 'storage';
  declare readonly code?: string;

  constructor(message: string, status: number, statusCode: string) {
    super(message);
    this.name = 'StorageApiError';
    this.status = status;
    this.statusCode = statusCode;
  }

  toJSON(): Readonly<Record<string, unknown>> {
    const { name, message, status, statusCode, code } = this;
    return { name, message, status, statusCode, code };
  }
}

let loading: Promise<StorageErrorClass> | undefined;

/** Loaded by the first error, so that a caller on another backend needs no supabase-js. */
async function loadErrorClass(): Promise<StorageErrorClass> {
  try {
    const { StorageApiError: found } = await import('@supabase/supabase-js');
    return typeof found === 'function' ? found : StorageApiErrorStandIn;
  } catch {
    return StorageApiErrorStandIn;
  }
}

/** An error that code written for supabase-js understands. */
export async function storageError(
  { message, code, status }: ErrorParts,
  cause: unknown,
): Promise<Error & ErrorParts & { readonly statusCode: string; readonly cause: unknown }> {
  loading ??= loadErrorClass();
  const statusCode = String(status);
  const error = new (await loading)(message, status, statusCode);
  return Object.assign(error, { code, status, statusCode, cause });
}
