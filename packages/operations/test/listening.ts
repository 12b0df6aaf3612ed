import { once } from 'node:events';
import type { Server } from 'node:net';

/** The address of a server, once it listens on a free port of this machine. */
export async function listening(server: Server): Promise<{ port: number; url: string }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  return { port: address.port, url: `http://127.0.0.1:${address.port}` };
}
