import { type Server, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  integer,
  isHoldfastError,
  optional,
  oneOf,
  readOptions,
  systemClock,
} from '@holdfast/resilience';
import { BrokerError } from '../errors.ts';
import { STAGE_MODES } from '../mode.ts';
import { type OwnFolder, makeOwnFolder } from '../own-folder.ts';
import type { Postgres } from '../postgres/postgres.ts';
import { type StageMode, openStage } from '../stage.ts';
import { requireNode } from '../engine.ts';
import { openWatchdog } from '../watchdog.ts';
import { openSpares } from './spares.ts';

export interface BrokerOptions {
  /** Default: as for openStage(). */
  mode?: StageMode;
  /** Spare Redis servers that wait to be leased. Default 2. */
  spares?: number;
  /** Leases at one time; who asks for more waits. Default 16. */
  maxLeases?: number;
  /** Fills the template that each leased database is a copy of. Default: it stays empty. */
  fillTemplate?: (url: string) => Promise<void>;
}

/** Lends servers to other processes, each for itself. */
export interface Broker {
  /** What `leaseServers()` is given: HOLDFAST_BROKER. */
  readonly address: string;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a process has leased; its end is the end of the lease, whatever end that is. */
export interface ServersLease {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  release(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const TEMPLATE = 'holdfast_template';
const shape = {
  mode: optional(oneOf(STAGE_MODES)),
  spares: integer({ min: 0, max: 100, default: 2 }),
  maxLeases: integer({ min: 1, max: 1_000, default: 16 }),
};

/**
 * Stands one Postgres and spare Redis servers for all workers of a test run, as in Jest's globalSetup: each
 * lease is a Redis of its own and a database of its own, a copy of the template.
 * @throws what openStage() throws.
 */
export async function openBroker({
  fillTemplate,
  ...options
}: BrokerOptions = {}): Promise<Broker> {
  requireNode('openBroker');
  const { mode, spares: count, maxLeases } = readOptions('openBroker', shape, options);
  // Clients of other processes are not to wait for the event loop of this one.
  const way = { link: false, ...(mode === undefined ? {} : { mode }) };
  const watchdog = openWatchdog(systemClock);
  const closings: (() => Promise<unknown>)[] = [() => watchdog.close()];
  const close = async (): Promise<void> => {
    for (const end of closings.splice(0).toReversed()) await end();
  };
  try {
    const database = await openStage({ ...way, postgres: true });
    closings.push(() => database.close());
    const { postgres } = database;
    const { url } = await postgres.createDatabase({ name: TEMPLATE });
    await fillTemplate?.(url);
    const redis = await openSpares({ stage: { ...way, redis: true }, spares: count, maxLeases });
    closings.push(() => redis.close());
    const folder = await makeOwnFolder(join(tmpdir(), 'holdfast-broker-'), watchdog);
    closings.push(() => folder.remove());
    const desk = await openDesk(folder, redis, postgres);
    closings.push(() => desk.close());
    return { address: desk.address, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Spares, as far as the desk needs them. */
interface LendsRedis {
  lease(options: {
    signal: AbortSignal;
  }): Promise<AsyncDisposable & { readonly stage: { readonly redis: { readonly url: string } } }>;
}

/** Where other processes ask: a connection is a lease, and its end is the end of it. */
async function openDesk(
  folder: OwnFolder,
  redis: LendsRedis,
  postgres: Postgres,
): Promise<{ address: string; close(): Promise<void> }> {
  const address = join(folder.path, 'broker.sock');
  const clients = new Set<Promise<void>>();
  const sockets = new Set<Socket>();
  const serve = async (socket: Socket): Promise<void> => {
    const gone = new AbortController();
    const left = new Promise<void>((resolve) => {
      socket.on('close', () => {
        gone.abort(new BrokerError('the client is gone'));
        resolve();
      });
    });
    socket.on('error', () => undefined);
    socket.resume();
    try {
      const lease = await redis.lease({ signal: gone.signal });
      try {
        const own = await postgres.createDatabase({ template: TEMPLATE, signal: gone.signal });
        socket.write(
          `${JSON.stringify({ redisUrl: lease.stage.redis.url, databaseUrl: own.url })}\n`,
        );
        await left;
        await postgres.dropDatabase(own.name);
      } finally {
        await lease[Symbol.asyncDispose]();
      }
    } catch (error) {
      const message = isHoldfastError(error) ? error.message : String(error);
      socket.end(`${JSON.stringify({ refused: message })}\n`);
    }
  };
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    const served = serve(socket).finally(() => {
      sockets.delete(socket);
      clients.delete(served);
    });
    clients.add(served);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, resolve);
  });
  server.unref();
  return {
    address,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all(clients);
    },
  };
}

/**
 * A Redis and a database for this process alone.
 * @param address that of the broker. Default: HOLDFAST_BROKER.
 * @throws BrokerError when there is no broker, or it cannot lend.
 */
export function leaseServers({
  address = process.env['HOLDFAST_BROKER'] ?? '',
  signal,
}: { address?: string; signal?: AbortSignal } = {}): Promise<ServersLease> {
  return new Promise((resolve, reject) => {
    if (address === '') {
      reject(new BrokerError('no broker is known'));
      return;
    }
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const socket = connect(address);
    const ended = new Promise<void>((end) => socket.once('close', () => end()));
    const onAbort = (): void => fail(signal?.reason);
    const fail = (error: unknown): void => {
      signal?.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(error);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (error) =>
      fail(new BrokerError(`no broker answers at '${address}'`, error)),
    );
    socket.on('close', () =>
      fail(new BrokerError(`the broker at '${address}' left without a word`)),
    );
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('utf8');
      if (!received.endsWith('\n')) return;
      const said: Partial<Record<string, string>> = JSON.parse(received);
      const { redisUrl, databaseUrl, refused } = said;
      if (redisUrl === undefined || databaseUrl === undefined) {
        fail(new BrokerError(refused ?? 'its answer cannot be read'));
        return;
      }
      signal?.removeEventListener('abort', onAbort);
      socket.unref();
      const release = async (): Promise<void> => {
        socket.end();
        await ended;
      };
      resolve({ redisUrl, databaseUrl, release, [Symbol.asyncDispose]: release });
    });
  });
}
