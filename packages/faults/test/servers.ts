import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { type FaultProxy, type FaultProxyOptions, createFaultProxy } from '@holdfast/faults';

/** A server whose sockets a test can see, and a proxy in front of it. */
export interface Bench {
  readonly proxy: FaultProxy;
  readonly server: Server;
  /** The server's end of each connection, in order. */
  readonly accepted: Socket[];
  /** A client of the proxy, connected. */
  readonly dial: () => Promise<Socket>;
  readonly close: () => Promise<void>;
}

/** @param serve what the server does with a connection; default: it sends back what it gets. */
export async function openBench(
  options: Omit<FaultProxyOptions, 'target'> = {},
  serve: (socket: Socket) => void = (socket) => void socket.pipe(socket),
): Promise<Bench> {
  const accepted: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    accepted.push(socket);
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await createFaultProxy({ ...options, target: { port: portOf(server) } });
  const clients: Socket[] = [];
  return {
    proxy,
    server,
    accepted,
    async dial() {
      const client = connect({ host: proxy.host, port: proxy.port, allowHalfOpen: true });
      clients.push(client);
      await once(client, 'connect');
      client.on('error', () => {});
      return client;
    },
    async close() {
      for (const socket of [...clients, ...accepted]) socket.destroy();
      await proxy.close();
      server.close();
    },
  };
}

export function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null)
    throw new Error('the server does not listen');
  return address.port;
}

/** Resolves with the next `length` bytes, which is to say when they are there. */
export async function read(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let got = 0;
  await new Promise<void>((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      got += chunk.length;
      if (got >= length) finish(resolve);
    };
    const onClose = (): void => finish(() => reject(new Error(`closed after ${got} bytes`)));
    const finish = (settle: () => void): void => {
      socket.off('data', onData).off('close', onClose);
      settle();
    };
    socket.on('data', onData).on('close', onClose);
  });
  return Buffer.concat(chunks);
}

/** How a socket's life ends: `FIN` in order, or the code of the error. */
export async function fate(socket: Socket): Promise<string> {
  socket.resume();
  return new Promise((resolve) => {
    socket.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    socket.once('end', () => resolve('FIN'));
  });
}

/** Resolves once a number has stopped changing. */
export async function settled(reading: () => number): Promise<number> {
  for (let before = Number.NaN; before !== reading(); await quiet()) before = reading();
  return reading();
}

/** Resolves once several rounds of the event loop brought nothing: what was to pass has passed. */
export async function quiet(): Promise<void> {
  for (let round = 0; round < 50; round += 1) await new Promise((resolve) => setImmediate(resolve));
}
