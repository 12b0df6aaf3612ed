import type { Socket } from 'node:net';

/** Destroys a socket; resolves once it is closed, also when an error of its own was under way. */
export function dropSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.destroy();
    if (socket.closed) resolve();
  });
}
