import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import {
  type S3Server,
  type S3ServerOptions,
  type SupabaseStorageServer,
  type SupabaseStorageServerOptions,
  createS3Server,
  createSupabaseStorageServer,
} from '@holdfast/stage';
import { createClient } from '@supabase/supabase-js';
import type { StorageBackend } from '../../src/backend.ts';
import { type S3BackendOptions, s3Backend } from '../../src/backends/s3/backend.ts';
import { supabaseBackend } from '../../src/backends/supabase/backend.ts';
import type { SupabaseBucketOptions } from '../../src/backends/supabase/options.ts';

export const BUCKET = 'bucket';

export interface OpenedServer<Server> {
  readonly server: Server;
  readonly backend: StorageBackend;
  close: () => Promise<void>;
}

/** A Supabase Storage in this process, with a bucket and a backend on a supabase-js client. */
export async function openSupabase(
  options: SupabaseStorageServerOptions = {},
  tuning: Partial<SupabaseBucketOptions> = {},
): Promise<OpenedServer<SupabaseStorageServer>> {
  const server = await createSupabaseStorageServer(options);
  const client = createClient(server.url, server.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { error } = await client.storage.createBucket(BUCKET);
  if (error !== null) throw error;
  const backend = supabaseBackend({ client, bucket: BUCKET, ...tuning });
  return { server, backend, close: () => server.close() };
}

/** An S3 in this process, with a bucket and a backend on a client of the SDK. */
export async function openS3(
  options: S3ServerOptions = {},
  tuning: Partial<S3BackendOptions> = {},
): Promise<OpenedServer<S3Server>> {
  const server = await createS3Server(options);
  const client = s3Client(server);
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  return {
    server,
    backend: s3Backend({ client, bucket: BUCKET, ...tuning }),
    async close() {
      client.destroy();
      await server.close();
    },
  };
}

export function s3Client({ url, credentials }: Pick<S3Server, 'url' | 'credentials'>): S3Client {
  return new S3Client({
    endpoint: url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
  });
}
