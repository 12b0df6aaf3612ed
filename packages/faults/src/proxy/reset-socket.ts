import type { Socket } from 'node:net';

/**
 * Ends a connection by RST; one that is still connecting is destroyed. While a FIN is being sent, the system refuses
 * the reset, and Node would forget the socket without closing it: `close` would never come, and the process would not
 * exit. So the reset waits for `finish`, which comes within a turn of the event loop.
 */
export function resetSocket(socket: Socket): void {
  const { connecting, destroyed, writableEnded, writableFinished, writableLength } = socket;
  if (destroyed) return;
  if (connecting) socket.destroy();
  else if (writableEnded && !writableFinished && writableLength === 0) {
    socket.once('finish', () => {
      if (!socket.destroyed) socket.resetAndDestroy();
    });
  } else socket.resetAndDestroy();
}
