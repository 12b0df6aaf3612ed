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
} from '@holdfast/emulators';
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

/** One server, the proxies in front of it, and a direct connection. */
interface Remote {
  /** Injects faults into connections. */
  readonly wire: FaultProxy;
  /** Injects faults into HTTP answers. */
  readonly answers: HttpFaultProxy;
  /** Injects faults into requests inside the server. */
  fault: FaultHook;
  /** A backend without proxies, for the checks. */
  readonly direct: StorageBackend;
}

/** A separate Supabase Storage and S3 behind fault proxies, and storages on them. */
export interface StorageFixture {
  readonly mode: 'local';
  readonly supabase: Remote & { readonly server: SupabaseStorageServer };
  readonly s3: Remote & { readonly server: S3Server; setPolicy(policy: object): Promise<void> };
  /** The data with which a child process opens the same backends. */
  readonly addresses: Addresses;
  storage(options?: StorageFixtureOptions): Promise<Storage>;
  directory(): Promise<string>;
  close(): Promise<void>;
}

export type StorageFixtureOptions = Partial<StorageOptions> & {
  directory?: string;
  /** Long by default; shorter where a scenario freezes a server. */
  requestTimeoutMs?: number;
};

/** The addresses of the servers through their proxies, as plain data. */
export interface Addresses {
  readonly supabase: { readonly url: string; readonly key: string };
  readonly s3: {
    readonly url: string;
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
  };
}

/** The timeout of one request, in milliseconds: long enough that a busy machine does not look like a dead server. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Times short enough for a suite, in the proportions of the defaults. */
export const tuning: Omit<StorageOptions, 'backends' | 'journal'> = {
  acknowledgeWithinMs: 1_000,
  lateWriteMs: 1_500,
  deniedProbeMs: 200,
  freshMs: 60_000,
  circuitBreaker: { openDurationMs: 100, maxOpenDurationMs: 400 },
  retry: { initialDelayMs: 20, maxDelayMs: 200 },
};

/** An account that the bucket's policy applies to, as to all accounts except the owner's. */
const GUEST = { accessKeyId: 'guest', secretAccessKey: 'guest-secret' } as const;

/** Backends on both servers, and a function that closes their connections. */
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

/** The two servers, and the hooks that decide which requests fail. */
interface StorageServers {
  readonly supabase: SupabaseStorageServer;
  readonly s3: S3Server;
  readonly hooks: { supabase: FaultHook; s3: FaultHook };
}

async function openServers(clock: Clock): Promise<StorageServers> {
  const hooks: StorageServers['hooks'] = { supabase: () => undefined, s3: () => undefined };
  const supabase = await createSupabaseStorageServer({
    faults: (call) => hooks.supabase(call),
    databaseTimeoutMs: 100,
    clock,
  });
  const s3 = await createS3Server({
    faults: (call) => hooks.s3(call),
    accounts: [GUEST],
    clock,
  });
  return { supabase, s3, hooks };
}

async function createBuckets({ supabase }: StorageServers, owner: S3Client): Promise<void> {
  const { error } = await createClient(supabase.url, supabase.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  }).storage.createBucket(BUCKET);
  if (error !== null) throw error;
  await owner.send(new CreateBucketCommand({ Bucket: BUCKET }));
  await setBucketPolicy(owner, guestPolicy('Allow'));
}

async function setBucketPolicy(owner: S3Client, policy: object): Promise<void> {
  const Policy = JSON.stringify(policy);
  await owner.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }));
}

/** The resources that a fixture has opened, to be closed in this order. */
class OpenedStorages {
  readonly storages: Storage[] = [];
  readonly clients: (() => void)[] = [];
  readonly #directories: string[] = [];

  async directory(): Promise<string> {
    const made = await mkdtemp(join(tmpdir(), 'holdfast-suite-'));
    this.#directories.push(made);
    return made;
  }

  async close(servers: readonly { close(): Promise<void> }[]): Promise<void> {
    await Promise.allSettled(this.storages.map((storage) => storage.close({ deadlineMs: 1_000 })));
    for (const end of this.clients) end();
    for (const server of servers) await server.close();
    await Promise.all(this.#directories.map((made) => rm(made, { recursive: true, force: true })));
  }
}

/** @param serverClock the clock of the servers; the clients use the system clock. */
export async function openStorageFixture(
  serverClock: Clock = systemClock,
): Promise<StorageFixture> {
  const servers = await openServers(serverClock);
  const { supabase, s3, hooks } = servers;
  const owner = s3ClientAt(s3.url, { ...s3.credentials });
  await createBuckets(servers, owner);
  const [supabaseWay, s3Way] = await Promise.all([openProxies(supabase), openProxies(s3)]);
  const addresses: Addresses = {
    supabase: { url: supabaseWay.url, key: supabase.serviceRoleKey },
    s3: { url: s3Way.url, ...GUEST },
  };
  const opened = new OpenedStorages();
  opened.clients.push(() => owner.destroy());

  return {
    mode: 'local',
    addresses,
    directory: () => opened.directory(),
    supabase: {
      server: supabase,
      ...supabaseWay,
      get fault() {
        return hooks.supabase;
      },
      set fault(hook) {
        hooks.supabase = hook;
      },
      direct: supabaseBackend({ url: supabase.url, key: supabase.serviceRoleKey, bucket: BUCKET }),
    },
    s3: {
      server: s3,
      ...s3Way,
      setPolicy: (policy) => setBucketPolicy(owner, policy),
      get fault() {
        return hooks.s3;
      },
      set fault(hook) {
        hooks.s3 = hook;
      },
      direct: s3Backend({ client: owner, bucket: BUCKET }),
    },
    async storage({ directory, requestTimeoutMs, ...options } = {}) {
      const { backends, end } = backendsAt(addresses, requestTimeoutMs);
      opened.clients.push(end);
      const journal = {
        directory: directory ?? (await opened.directory()),
        minFreeBytes: 0,
        ...options.journal,
      };
      const storage = createStorage({ ...tuning, backends, ...options, journal });
      opened.storages.push(storage);
      return storage;
    },
    close: () => opened.close([supabaseWay, s3Way, supabase, s3]),
  };
}

/** A bucket policy that allows the guest, or denies everyone everything except the owner's policy calls. */
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

/** The proxies between a client and a server: first the one for connections, then the one for answers. */
async function openProxies({ host, port }: { host: string; port: number }) {
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
