import { createClient } from '@supabase/supabase-js';

type Storage = ReturnType<typeof createClient>['storage'];
type Files = ReturnType<Storage['from']>;

export interface SupabasePlace {
  /** The base path of the Storage API: `/storage/v1` behind a gateway, the root of a server without one. */
  readonly storageUrl: string;
  readonly serviceRoleKey: string;
  readonly anonKey: string;
}

/** A separate private bucket for one check, and its clients. */
export interface SupabaseWorld extends SupabasePlace {
  readonly bucket: string;
  readonly storage: Storage;
  /** The bucket, opened in the service role. */
  readonly files: Files;
  readonly connect: (key: string) => Storage;
  /** Requests a URL that the client has built. */
  readonly fetch: typeof fetch;
  close(): void;
}

const BEHIND_GATEWAY = 'http://gateway.invalid';

export async function openSupabaseWorld(
  place: SupabasePlace,
  bucket: string,
): Promise<SupabaseWorld> {
  // The client assumes a server behind a gateway.
  const made = `${BEHIND_GATEWAY}/storage/v1`;
  const found: typeof fetch = (input, init) =>
    fetch(typeof input === 'string' ? input.replace(made, place.storageUrl) : input, init);
  const connect = (key: string): Storage =>
    createClient(BEHIND_GATEWAY, key, {
      auth: { persistSession: false, autoRefreshToken: false },
      global: { fetch: found },
    }).storage;
  const storage = connect(place.serviceRoleKey);
  const { error } = await storage.createBucket(bucket);
  if (error !== null) throw error;
  return {
    ...place,
    bucket,
    storage,
    files: storage.from(bucket),
    connect,
    fetch: found,
    close: () => undefined,
  };
}

/** An error of storage-js; an error from the server has a status. */
interface StorageFailure {
  readonly message: string;
  readonly code?: string | undefined;
  readonly statusCode?: string | undefined;
  readonly status?: number | undefined;
}

/** `ok`, or the code and status of the body, and the HTTP status. */
export async function answerOf(
  work: PromiseLike<{ readonly error: StorageFailure | null }>,
): Promise<string> {
  return errorTextOf((await work).error);
}

export function errorTextOf(error: StorageFailure | null): string {
  if (error === null) return 'ok';
  const { code, statusCode, status, message } = error;
  return status === undefined ? message : `${code} ${statusCode} in ${status}`;
}

/** The text of an object, or the error received instead. */
export async function textOf({ files }: SupabaseWorld, key: string): Promise<string> {
  const { data, error } = await files.download(key);
  return data === null ? errorTextOf(error) : data.text();
}
