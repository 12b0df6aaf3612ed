import type { Socket } from 'node:net';

/** Destroys a socket; resolves once it is closed, also when an error of its own was under way. */
export function dropSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.destroy();
    // It says so before its event comes, which is at the end of a turn of the loop; and never for one whose
    // event came before.
    if (socket.closed) setImmediate(() => setImmediate(resolve));
  });
}
