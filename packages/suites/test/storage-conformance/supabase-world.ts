import { createClient } from '@supabase/supabase-js';

type Storage = ReturnType<typeof createClient>['storage'];
type Files = ReturnType<Storage['from']>;

export interface SupabasePlace {
  /** What `createClient` takes. */
  readonly url: string;
  readonly serviceRoleKey: string;
  readonly anonKey: string;
}

/** A private bucket of its own for one check, and its clients. */
export interface SupabaseWorld extends SupabasePlace {
  readonly bucket: string;
  readonly storage: Storage;
  /** The bucket in the service role. */
  readonly files: Files;
  readonly connect: (key: string) => Storage;
  close(): void;
}

export async function openSupabaseWorld(
  place: SupabasePlace,
  bucket: string,
): Promise<SupabaseWorld> {
  const connect = (key: string): Storage =>
    createClient(place.url, key, { auth: { persistSession: false, autoRefreshToken: false } })
      .storage;
  const storage = connect(place.serviceRoleKey);
  const { error } = await storage.createBucket(bucket);
  if (error !== null) throw error;
  return {
    ...place,
    bucket,
    storage,
    files: storage.from(bucket),
    connect,
    close: () => undefined,
  };
}

/** An error of storage-js: one of the server has a status. */
interface StorageFailure {
  readonly message: string;
  readonly code?: string | undefined;
  readonly statusCode?: string | undefined;
  readonly status?: number | undefined;
}

/** `ok`, or the code and status of the body in the status of HTTP. */
export async function answerOf(
  work: PromiseLike<{ readonly error: StorageFailure | null }>,
): Promise<string> {
  return saidOf((await work).error);
}

export function saidOf(error: StorageFailure | null): string {
  if (error === null) return 'ok';
  const { code, statusCode, status, message } = error;
  return status === undefined ? message : `${code} ${statusCode} in ${status}`;
}

/** The text of an object, or what came instead. */
export async function textOf({ files }: SupabaseWorld, key: string): Promise<string> {
  const { data, error } = await files.download(key);
  return data === null ? saidOf(error) : data.text();
}
