import { type Server, type Socket, createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { createDatabase } from '@holdfast/database';
import { Pool } from '@holdfast/database/pg';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import {
  createBalancer,
  createDialer,
  createResilientFetch,
  createResolver,
} from '@holdfast/network';
import { createQueueAdapter } from '@holdfast/queue';
import { createStorage, s3Backend, supabaseBackend } from '@holdfast/storage';

/** A client of a server that accepts connections and never replies. */
export interface SilentClient {
  /** Settles after its time limit. */
  call(): Promise<unknown>;
  /** Gives back what the client holds. */
  close(): Promise<unknown>;
}

/** The limit of every call, in milliseconds. */
export const LIMIT_MS = 60;

export interface SilentServers {
  readonly port: number;
  readonly namePort: number;
  /** A Postgres that never answers a certain statement. */
  readonly frozen: string;
  close(): Promise<void>;
}

export async function openSilentServers(): Promise<SilentServers> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.resume();
  });
  const names = createSocket('udp4');
  names.bind(0, '127.0.0.1');
  await once(names, 'listening');
  const postgres = await createFakePostgres({
    script: [['select pg_sleep(60)', 'never']],
  });
  return {
    port: await listen(server),
    namePort: names.address().port,
    frozen: postgres.url,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      names.close();
      await postgres.close();
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

type Open = (servers: SilentServers) => Promise<SilentClient> | SilentClient;

const CLOSE = { deadlineMs: LIMIT_MS };

/** Clients with the outcome of each call, and of closing where that is no success. */
export const clients: Readonly<
  Record<string, { readonly open: Open; readonly outcome: string; readonly end?: string }>
> = {
  'database, a connection': {
    outcome: 'DATABASE_ACQUIRE_TIMEOUT',
    open({ port }) {
      const db = createDatabase({
        hosts: `postgres://u:p@127.0.0.1:${port}/d`,
        acquireTimeoutMs: LIMIT_MS,
      });
      return { call: () => db.query('select 1'), close: () => db.close(CLOSE) };
    },
  },
  'database, two hosts': {
    outcome: 'DATABASE_NO_WRITABLE_HOST',
    open({ port }) {
      const hosts = ['127.0.0.1', 'localhost'].map((host) => `postgres://u:p@${host}:${port}/d`);
      const db = createDatabase({ hosts, acquireTimeoutMs: LIMIT_MS });
      return { call: () => db.query('select 1'), close: () => db.close(CLOSE) };
    },
  },
  'database, an answer': {
    outcome: 'DATABASE_QUERY_TIMEOUT',
    open({ frozen }) {
      const db = createDatabase({ hosts: frozen, acquireTimeoutMs: 5_000 });
      const call = (): Promise<unknown> =>
        db.query('select pg_sleep(60)', [], { timeoutMs: LIMIT_MS });
      return { call, close: () => db.close(CLOSE) };
    },
  },
  'database, a Pool': {
    outcome: 'DATABASE_ACQUIRE_TIMEOUT',
    open({ port }) {
      const pool = new Pool({
        connectionString: `postgres://u:p@127.0.0.1:${port}/d`,
        connectionTimeoutMillis: LIMIT_MS,
      });
      return { call: () => pool.query('select 1'), close: () => pool.holdfast.close(CLOSE) };
    },
  },
  queue: {
    outcome: 'memory',
    // The jobs in memory are lost with it.
    end: 'QUEUE_UNDRAINED',
    open({ port }) {
      const queue = createQueueAdapter({
        redis: { url: `redis://127.0.0.1:${port}` },
        commandTimeoutMs: LIMIT_MS,
        connectTimeoutMs: LIMIT_MS,
      });
      const call = async (): Promise<unknown> => (await queue.enqueue('topic', 1)).accepted;
      return { call, close: () => queue.close(CLOSE) };
    },
  },
  'storage, an upload to S3': {
    outcome: 'queued',
    async open({ port }) {
      const { storage, close } = await storageOn(s3(port));
      return {
        call: async () => (await storage.upload('a', 'body')).stored,
        close,
      };
    },
  },
  'storage, a download from S3': {
    outcome: 'STORAGE_UNAVAILABLE',
    async open({ port }) {
      const { storage, close } = await storageOn(s3(port));
      return { call: () => storage.download('b'), close };
    },
  },
  'storage, a download from Supabase': {
    outcome: 'STORAGE_UNAVAILABLE',
    async open({ port }) {
      const backend = supabaseBackend({
        url: `http://127.0.0.1:${port}`,
        key: 'key',
        bucket: 'bucket',
        requestTimeoutMs: LIMIT_MS,
      });
      const { storage, close } = await storageOn(backend);
      return { call: () => storage.download('b'), close };
    },
  },
  'network, a fetch': {
    outcome: 'NETWORK_FETCH_TIMEOUT',
    open({ port }) {
      const fetch = createResilientFetch({ timeoutMs: LIMIT_MS, allowPrivate: true });
      return {
        call: () => fetch(`http://127.0.0.1:${port}/`),
        close: () => fetch.close(),
      };
    },
  },
  'network, a TLS connection': {
    outcome: 'NETWORK_DIAL_TIMEOUT',
    open({ port }) {
      const dialer = createDialer({ timeoutMs: LIMIT_MS, allowPrivate: true });
      return {
        call: () => dialer.dial({ hostname: '127.0.0.1', port, secure: true }),
        close: async () => undefined,
      };
    },
  },
  'network, a name': {
    outcome: 'NETWORK_NAME_TIMEOUT',
    open({ namePort }) {
      const resolver = createResolver({
        nameservers: [`127.0.0.1:${namePort}`],
        hostsFile: false,
        timeoutMs: LIMIT_MS,
      });
      return { call: () => resolver.resolve('a.example.com'), close: () => resolver.close() };
    },
  },
  'network, a balanced call': {
    outcome: 'NETWORK_ROUTE_TIMEOUT',
    open() {
      const balancer = createBalancer({ nodes: [{ id: 'a' }, { id: 'b' }] });
      const call = (): Promise<unknown> =>
        balancer.run(() => new Promise(() => undefined), { timeoutMs: LIMIT_MS });
      return { call, close: async () => balancer.close() };
    },
  },
};

function s3(port: number): ReturnType<typeof s3Backend> {
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
  });
  return s3Backend({ client, bucket: 'bucket', requestTimeoutMs: LIMIT_MS });
}

async function storageOn(backend: ReturnType<typeof s3Backend>): Promise<{
  storage: ReturnType<typeof createStorage>;
  close: () => Promise<void>;
}> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-timers-'));
  const storage = createStorage({
    backends: [backend],
    journal: { directory },
    acknowledgeWithinMs: LIMIT_MS,
  });
  return {
    storage,
    async close() {
      await storage.close(CLOSE);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
