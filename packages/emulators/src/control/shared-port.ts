import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';

/** A request line of HTTP begins with a capital letter. */
const isCapital = (byte: number | undefined): boolean =>
  byte !== undefined && byte >= 0x41 && byte <= 0x5a;

/**
 * Lets the stage reach a program at the port where its clients do, whatever they speak: the first byte
 * tells. TLS begins with 0x16, DNS over TCP with the length of its message, which is far below 0x4100.
 */
export function sharePort(
  control: HttpServer,
  serveClient: (socket: Socket) => void,
): (socket: Socket) => void {
  return (socket) => {
    // A client that goes away is its own affair.
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
  };
}
