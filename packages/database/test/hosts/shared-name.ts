import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import type { FakePostgres } from '@holdfast/emulators/postgres';

/** One name for several servers: each connection goes to the next one. */
export interface SharedName {
  readonly url: string;
  /** Leads new connections to these servers from now on; those that exist stay. */
  leadTo(...servers: readonly FakePostgres[]): void;
  close(): Promise<void>;
}

export async function openSharedName(...first: readonly FakePostgres[]): Promise<SharedName> {
  let servers = first;
  let accepted = 0;
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = servers[accepted % servers.length];
    accepted += 1;
    if (server === undefined) {
      client.destroy();
      return;
    }
    const upstream = connect(server.port, server.host);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => undefined);
      socket.on('close', () => other.destroy());
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `postgres://fake@127.0.0.1:${port}/fake`,
    leadTo(...next) {
      servers = next;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}
