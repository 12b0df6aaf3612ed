import { expect } from '@jest/globals';
import { createClient } from '@supabase/supabase-js';

type StorageClient = ReturnType<typeof createClient>['storage'];

export function storageOf(url: string, key: string): StorageClient {
  return createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } })
    .storage;
}

/** An error as storage-js reports it. */
export function storageError(code: string, statusCode: number, status = 400): object {
  return expect.objectContaining({ code, statusCode: String(statusCode), status });
}
