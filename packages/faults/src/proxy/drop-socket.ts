import type { Socket } from 'node:net';

/** Destroys a socket and resolves when it is closed, also when an error is pending. */
export function dropSocket(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.destroy();
    // `closed` is set before the event, which comes at the end of a turn of the event loop; when the event came
    // before, it does not come again.
    if (socket.closed) setImmediate(() => setImmediate(resolve));
  });
}
