import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import type { PostgresTarget } from './postgres-fixture.ts';

/** One name for several servers, as a reader endpoint or a TCP balancer: each connection goes to the next one. */
export interface SharedName {
  readonly url: string;
  /** Leads new connections to these servers from now on; those that exist stay. */
  leadTo(...servers: readonly PostgresTarget[]): void;
  close(): Promise<void>;
}

export async function openSharedName(
  first: PostgresTarget,
  ...more: readonly PostgresTarget[]
): Promise<SharedName> {
  let servers: readonly PostgresTarget[] = [first, ...more];
  let accepted = 0;
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const { host, port } = servers[accepted % servers.length] ?? first;
    accepted += 1;
    const upstream = connect(port, host);
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
  const url = new URL(first.url);
  url.host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  return {
    url: url.href,
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
