import type { Socket } from 'node:net';

/**
 * Ends a connection by RST; one that is still being made is given up. While a FIN is on its way out the
 * system refuses the reset, and Node would then forget the socket without closing it: neither `close` nor
 * the process's end would ever come. So that moment is waited out; it is over within a turn of the loop.
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
