import { expect } from '@jest/globals';
import { createClient } from '@supabase/supabase-js';
import type { SupabaseStorageServerOptions } from '../../src/supabase/options.ts';
import {
  type SupabaseStorageServer,
  createSupabaseStorageServer,
} from '../../src/supabase/storage-server.ts';

type StorageClient = ReturnType<typeof createClient>['storage'];
type FileApi = ReturnType<StorageClient['from']>;

/** A server with a private bucket `bucket`, and its clients. */
export interface OpenSupabase {
  readonly server: SupabaseStorageServer;
  readonly storage: StorageClient;
  /** The bucket, in the service role. */
  readonly files: FileApi;
  readonly connect: (key: string) => StorageClient;
}

/** Runs `work` against a new server, which is always closed. */
export async function withSupabase(
  options: SupabaseStorageServerOptions,
  work: (open: OpenSupabase) => Promise<void>,
): Promise<void> {
  const server = await createSupabaseStorageServer(options);
  const connect = (key: string): StorageClient => storageOf(server.url, key);
  try {
    const storage = connect(server.serviceRoleKey);
    const made = await storage.createBucket('bucket');
    if (made.error !== null) throw made.error;
    await work({ server, storage, files: storage.from('bucket'), connect });
  } finally {
    await server.close();
  }
}

export function storageOf(url: string, key: string): StorageClient {
  return createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } })
    .storage;
}

/** An error as storage-js reports it. */
export function storageError(code: string, statusCode: number, status = 400): object {
  return expect.objectContaining({ code, statusCode: String(statusCode), status });
}
