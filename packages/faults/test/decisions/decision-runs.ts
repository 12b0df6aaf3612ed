import { once } from 'node:events';
import { type Server, connect, createServer } from 'node:net';
import {
  type Decisions,
  createChaosFaultInjector,
  createFaultProxy,
  createHttpFaultProxy,
  createPostgresFaultProxy,
  createRedisFaultProxy,
} from '@holdfast/faults';
import { openScriptedRedis } from '../protocol/scripted-redis.ts';
import { fate, portOf, read } from '../servers.ts';

const TIMES = 30;
type Played = Pick<Decisions, 'hash' | 'count'>;

async function times(work: () => Promise<unknown>): Promise<void> {
  for (let index = 0; index < TIMES; index += 1) await work();
}

async function withServer<T>(server: Server, work: (port: number) => Promise<T>): Promise<T> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await work(portOf(server));
  } finally {
    server.close();
  }
}

/** Runs the work, then disposes of the resource. */
async function withResource<T, R extends AsyncDisposable>(
  resource: R,
  work: (resource: R) => Promise<T>,
): Promise<T> {
  try {
    return await work(resource);
  } finally {
    await resource[Symbol.asyncDispose]();
  }
}

const summaryOf = ({ hash, count }: Decisions): Played => ({ hash, count });
/** A server that ends what is begun with it. */
const ending = (): Server => createServer((socket) => socket.on('error', () => {}).end());

/** What each of them decides for the same calls from a seed, over real sockets where it has any. */
export const plays: Readonly<Record<string, (seed: number) => Promise<Played>>> = {
  tcp: (seed) =>
    withServer(ending(), async (port) => {
      return withResource(await createFaultProxy({ target: { port }, seed }), async (proxy) => {
        proxy.faults.set('reset', { probability: 0.3 });
        proxy.faults.set('latency', { latencyMs: 1, probability: 0.5 });
        proxy.faults.set('blackhole', { probability: 0 });
        await times(() => fate(connect(proxy.port, proxy.host)));
        return summaryOf(proxy.decisions());
      });
    }),
  http: (seed) =>
    withServer(ending(), async (port) => {
      return withResource(await createHttpFaultProxy({ target: { port }, seed }), async (proxy) => {
        proxy.faults.set('status', { status: 503, probability: 0.5 });
        proxy.faults.set('rateLimit', { probability: 0.2 });
        proxy.faults.set('reset', { probability: 0.2, times: 3 });
        await times(() =>
          fetch(proxy.url).then(
            (response) => response.text(),
            () => undefined,
          ),
        );
        return summaryOf(proxy.decisions());
      });
    }),
  async redis(seed) {
    const server = await openScriptedRedis();
    try {
      return await withResource(
        await createRedisFaultProxy({ target: { port: server.port }, seed }),
        async (proxy) => {
          proxy.faults.set('OOM', { probability: 0.3 });
          proxy.faults.set('BUSY', { probability: 0.3 });
          const client = connect(proxy.port, proxy.host);
          await times(async () => {
            client.write('*3\r\n$3\r\nset\r\n$3\r\nkey\r\n$5\r\nvalue\r\n');
            await read(client, 1);
          });
          client.destroy();
          return summaryOf(proxy.decisions());
        },
      );
    } finally {
      server.close();
    }
  },
  postgres: (seed) =>
    withServer(ending(), async (port) => {
      return withResource(
        await createPostgresFaultProxy({ target: { port }, seed }),
        async (proxy) => {
          proxy.faults.set('53300', { probability: 0.5 });
          await times(() => {
            const client = connect(proxy.port, proxy.host);
            // A start-up message of protocol 3.0 that names the user `u`.
            client.write(Buffer.from('\0\0\0\x10\0\x03\0\0user\0u\0\0', 'latin1'));
            return fate(client);
          });
          return summaryOf(proxy.decisions());
        },
      );
    }),
  async injector(seed) {
    const chaos = createChaosFaultInjector(true, { seed });
    chaos.configureFault('network_failure', { probability: 0.3 });
    chaos.configureFault('data_corruption', { probability: 0.3 });
    await times(() => chaos.execute(() => 'answer').catch(() => {}));
    return summaryOf(chaos.decisions());
  },
};
