/** The servers of the storage benchmarks, in a process of their own, so that their CPU time is not the client's. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { createS3Server, createSupabaseStorageServer } from '@holdfast/emulators';
import { createClient } from '@supabase/supabase-js';

export const BUCKET = 'bench';

/** The clients of both servers; the bucket exists. */
export interface Servers {
  readonly supabase: ReturnType<typeof connect>;
  readonly s3: S3Client;
  close(): Promise<void>;
}

interface Addresses {
  readonly supabase: { readonly url: string; readonly key: string };
  readonly s3: {
    readonly endpoint: string;
    readonly credentials: { accessKeyId: string; secretAccessKey: string };
  };
}

function connect(url: string, key: string) {
  return createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false } });
}

export async function openServers(): Promise<Servers> {
  const child = fork(import.meta.filename, [], { execArgv: [] });
  const [message] = await once(child, 'message');
  const addresses: Addresses = message;
  const supabase = connect(addresses.supabase.url, addresses.supabase.key);
  const s3 = new S3Client({ ...addresses.s3, region: 'us-east-1', forcePathStyle: true });
  const { error } = await supabase.storage.createBucket(BUCKET);
  if (error !== null) throw error;
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  return {
    supabase,
    s3,
    async close() {
      s3.destroy();
      await end(child);
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  child.disconnect();
  await once(child, 'exit');
}

async function serve(): Promise<void> {
  const supabase = await createSupabaseStorageServer();
  const s3 = await createS3Server();
  const addresses: Addresses = {
    supabase: { url: supabase.url, key: supabase.serviceRoleKey },
    s3: { endpoint: s3.url, credentials: { ...s3.credentials } },
  };
  process.send?.(addresses);
  process.on('disconnect', () => {
    void supabase.close();
    void s3.close();
  });
}

if (process.argv[1] === import.meta.filename) await serve();
