import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { TLSSocket } from 'node:tls';
import { createFakePostgres } from '@holdfast/emulators/postgres';
import type { Credentials } from '@holdfast/faults';
import type { Opened } from '../open-database.ts';

/** A scripted Postgres that encrypts what a client asks it to, and asks for a password. */
export interface TlsPostgres {
  /** Host, port and password are in it, no parameters. */
  readonly url: string;
  readonly port: number;
  /** Handshakes that both sides have completed. */
  handshakes(): number;
  /** Sessions whose password was asked for, over TLS or not. */
  sessions(): number;
}

const SSL_REQUEST_BYTES = 8;
const SSL_REQUEST = 80_877_103;
/** The first byte of a client that encrypts without asking. */
const TLS_HANDSHAKE = 0x16;

/** Opens one on 127.0.0.1, closed with `opened`. */
export async function openTlsPostgres(
  opened: Opened,
  credentials: Credentials,
): Promise<TlsPostgres> {
  const postgres = await createFakePostgres({ password: 'secret' });
  opened.add(() => postgres.close());
  let handshakes = 0;
  const server = createServer((socket) => {
    track(opened, socket);
    socket.once('data', (first) => {
      const asksForTls = first.length === SSL_REQUEST_BYTES && first.readInt32BE(4) === SSL_REQUEST;
      const isTls = first[0] === TLS_HANDSHAKE;
      if (!asksForTls && !isTls) {
        join(socket, postgres.port, first);
        return;
      }
      socket.pause();
      if (isTls) socket.unshift(first);
      else socket.write('S');
      const secure = new TLSSocket(socket, { isServer: true, ...credentials });
      track(opened, secure);
      secure.once('secure', () => {
        handshakes += 1;
        join(secure, postgres.port);
      });
    });
  });
  const port = await listen(opened, server);
  const url = new URL(postgres.url);
  url.port = String(port);
  return {
    url: url.href,
    port,
    handshakes: () => handshakes,
    sessions: () => postgres.sessions().length,
  };
}

function track(opened: Opened, socket: Socket): void {
  socket.on('error', () => socket.destroy());
  opened.add(async () => void socket.destroy());
}

/** Passes bytes both ways until either side ends. */
function join(socket: Socket, port: number, first?: Buffer): void {
  const inner = connect({ host: '127.0.0.1', port });
  inner.on('error', () => socket.destroy());
  inner.on('close', () => socket.destroy());
  socket.on('close', () => inner.destroy());
  if (first !== undefined) inner.write(first);
  socket.pipe(inner).pipe(socket);
}

async function listen(opened: Opened, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.add(async () => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
