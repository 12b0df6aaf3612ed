import { once } from 'node:events';
import { type Server, createServer } from 'node:https';
import type { TlsOptions } from 'node:tls';

/** An HTTPS server in this process, with any options of `tls.createServer`. */
export interface TlsServerFixture {
  readonly port: number;
  readonly server: Server;
  /** Handshakes that were completed, and of these the resumed ones. */
  readonly handshakes: { full: number; resumed: number };
  close(): Promise<void>;
}

export async function openTlsServer(
  options: TlsOptions,
  host = '127.0.0.1',
  port = 0,
): Promise<TlsServerFixture> {
  const server = createServer(options, (_incoming, outgoing) => void outgoing.end('yes'));
  const handshakes = { full: 0, resumed: 0 };
  server.on('secureConnection', (socket) => {
    handshakes[socket.isSessionReused() ? 'resumed' : 'full'] += 1;
  });
  server.on('tlsClientError', (_error, socket) => void socket.destroy());
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    server,
    handshakes,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
