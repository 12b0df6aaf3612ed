import {
  type IncomingMessage,
  type ServerResponse,
  createServer as createHttpServer,
} from 'node:http';
import { type Server, type Socket, createServer } from 'node:net';

/** The first byte of an HTTP request is a capital letter. */
const isCapital = (byte: number | undefined): boolean =>
  byte !== undefined && byte >= 0x41 && byte <= 0x5a;

/**
 * Serves control requests and another protocol on one port, told apart by the first byte: TLS begins with 0x16,
 * and DNS over TCP with the length of the message, which is far below 0x4100.
 */
export function createSharedPort(
  program: { handles(incoming: IncomingMessage, outgoing: ServerResponse): boolean },
  serveClient: (socket: Socket) => void,
): { readonly server: Server; destroyConnections(): void } {
  const control = createHttpServer((incoming, outgoing) => {
    if (!program.handles(incoming, outgoing)) outgoing.writeHead(404).end();
  });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // Clients may disconnect at any time.
    socket.on('error', () => socket.destroy());
    socket.once('readable', () => {
      const head: Buffer | null = socket.read();
      if (head === null) {
        socket.destroy();
        return;
      }
      socket.unshift(head);
      if (isCapital(head[0])) control.emit('connection', socket);
      else serveClient(socket);
    });
  });
  return {
    server,
    destroyConnections() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
