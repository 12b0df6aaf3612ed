import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import {
  type FaultProxy,
  type HttpFaultProxy,
  createFaultProxy,
  createHttpFaultProxy,
} from '@holdfast/faults';
import { type Clock, systemClock } from '@holdfast/foundation';
import {
  type FaultHook,
  type S3Server,
  type SupabaseStorageServer,
  createS3Server,
  createSupabaseStorageServer,
} from '@holdfast/stage';
import {
  type Storage,
  type StorageBackend,
  type StorageOptions,
  createStorage,
  s3Backend,
  supabaseBackend,
} from '@holdfast/storage';
import { createClient } from '@supabase/supabase-js';

export const BUCKET = 'objects';

/** One server, what stands before it, and the way past all that. */
export interface Remote {
  /** Breaks connections. */
  readonly wire: FaultProxy;
  /** Breaks answers. */
  readonly answers: HttpFaultProxy;
  /** Breaks requests inside the server. */
  fault: FaultHook;
  /** Straight to the server, for whoever judges. */
  readonly direct: StorageBackend;
}

/** A Supabase Storage and an S3 of their own behind fault proxies, and storages on them. */
export interface StorageFixture {
  readonly mode: 'local';
  readonly supabase: Remote & { readonly server: SupabaseStorageServer };
  readonly s3: Remote & { readonly server: S3Server; setPolicy(policy: object): Promise<void> };
  /** What a process elsewhere needs to make the same backends. */
  readonly addresses: Addresses;
  storage(options?: StorageFixtureOptions): Promise<Storage>;
  directory(): Promise<string>;
  close(): Promise<void>;
}

export type StorageFixtureOptions = Partial<StorageOptions> & {
  directory?: string;
  /** Default long: shorter where a server is frozen on purpose. */
  requestTimeoutMs?: number;
};

/** How the servers are reached through what stands before them; plain data. */
export interface Addresses {
  readonly supabase: { readonly url: string; readonly key: string };
  readonly s3: {
    readonly url: string;
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
  };
}

/** How long a server gets for one answer, in milliseconds: a busy machine must not look like a dead server. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Short enough for a suite, in the proportions of the defaults. */
export const tuning: Omit<StorageOptions, 'backends' | 'journal'> = {
  acknowledgeWithinMs: 1_000,
  lateWriteMs: 1_500,
  deniedProbeMs: 200,
  freshMs: 60_000,
  circuitBreaker: { openDurationMs: 100, maxOpenDurationMs: 400 },
  retry: { initialDelayMs: 20, maxDelayMs: 200 },
};

/** The account that is bound by the bucket's policy, as everybody but its owner is. */
const GUEST = { accessKeyId: 'guest', secretAccessKey: 'guest-secret' } as const;

/** Backends on both servers, and the end of what they hold open. */
export function backendsAt(
  { supabase, s3 }: Addresses,
  requestTimeoutMs: number = REQUEST_TIMEOUT_MS,
): { backends: [StorageBackend, StorageBackend]; end: () => void } {
  const { url: endpoint, ...credentials } = s3;
  const client = s3ClientAt(endpoint, credentials);
  return {
    backends: [
      supabaseBackend({ ...supabase, bucket: BUCKET, requestTimeoutMs }),
      s3Backend({ client, bucket: BUCKET, requestTimeoutMs }),
    ],
    end: () => client.destroy(),
  };
}

/** @param serverClock what the servers take the time from; the clients have this machine's. */
export async function openStorageFixture(
  serverClock: Clock = systemClock,
): Promise<StorageFixture> {
  const directories: string[] = [];
  const storages: Storage[] = [];
  const ends: (() => void)[] = [];
  const hooks: { supabase: FaultHook; s3: FaultHook } = {
    supabase: () => undefined,
    s3: () => undefined,
  };
  const supabaseServer = await createSupabaseStorageServer({
    faults: (call) => hooks.supabase(call),
    databaseTimeoutMs: 100,
    clock: serverClock,
  });
  const s3Server = await createS3Server({
    faults: (call) => hooks.s3(call),
    accounts: [GUEST],
    clock: serverClock,
  });
  const owner = s3ClientAt(s3Server.url, { ...s3Server.credentials });
  const { error } = await createClient(supabaseServer.url, supabaseServer.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  }).storage.createBucket(BUCKET);
  if (error !== null) throw error;
  await owner.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const setPolicy = async (policy: object): Promise<void> => {
    const Policy = JSON.stringify(policy);
    await owner.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }));
  };
  await setPolicy(guestPolicy('Allow'));

  const [supabaseWay, s3Way] = await Promise.all([wayTo(supabaseServer), wayTo(s3Server)]);
  const addresses: Addresses = {
    supabase: { url: supabaseWay.url, key: supabaseServer.serviceRoleKey },
    s3: { url: s3Way.url, ...GUEST },
  };

  const directory = async (): Promise<string> => {
    const made = await mkdtemp(join(tmpdir(), 'holdfast-suite-'));
    directories.push(made);
    return made;
  };

  return {
    mode: 'local',
    addresses,
    directory,
    supabase: {
      server: supabaseServer,
      ...supabaseWay,
      get fault() {
        return hooks.supabase;
      },
      set fault(hook) {
        hooks.supabase = hook;
      },
      direct: supabaseBackend({
        url: supabaseServer.url,
        key: supabaseServer.serviceRoleKey,
        bucket: BUCKET,
      }),
    },
    s3: {
      server: s3Server,
      ...s3Way,
      setPolicy,
      get fault() {
        return hooks.s3;
      },
      set fault(hook) {
        hooks.s3 = hook;
      },
      direct: s3Backend({ client: owner, bucket: BUCKET }),
    },
    async storage({ directory: given, requestTimeoutMs, ...options } = {}) {
      const { backends, end } = backendsAt(addresses, requestTimeoutMs);
      ends.push(end);
      const storage = createStorage({
        ...tuning,
        backends,
        ...options,
        journal: { directory: given ?? (await directory()), minFreeBytes: 0, ...options.journal },
      });
      storages.push(storage);
      return storage;
    },
    async close() {
      await Promise.allSettled(storages.map((storage) => storage.close({ deadlineMs: 1_000 })));
      await Promise.all([supabaseWay.close(), s3Way.close()]);
      for (const end of ends) end();
      owner.destroy();
      await Promise.all([supabaseServer.close(), s3Server.close()]);
      await Promise.all(directories.map((made) => rm(made, { recursive: true, force: true })));
    },
  };
}

/** A bucket policy that lets the guest in, or shuts everybody but the owner's own policy calls out. */
export function guestPolicy(effect: 'Allow' | 'Deny'): object {
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: effect,
        Principal: '*',
        Action: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:ListBucket'],
        Resource: [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`],
      },
    ],
  };
}

function s3ClientAt(
  endpoint: string,
  credentials: { accessKeyId: string; secretAccessKey: string },
): S3Client {
  return new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
}

/** A client's way to a server: first what breaks connections, then what breaks answers. */
async function wayTo({ host, port }: { host: string; port: number }) {
  const answers = await createHttpFaultProxy({ target: { host, port } });
  const wire = await createFaultProxy({ target: { host: answers.host, port: answers.port } });
  return {
    answers,
    wire,
    url: `http://${wire.host}:${wire.port}`,
    async close() {
      await wire.close();
      await answers.close();
    },
  };
}
