import { type Server, createServer } from 'node:net';
import type { Random } from '@holdfast/resilience';

/**
 * Below the ports that Linux (32768 on) and macOS (49152 on) hand to outgoing connections. A port from
 * there could be taken by any client while its server is down; a client that reconnects to it may even
 * be given it as its own end and talk to itself.
 */
const LOWEST_PORT = 10_000;
const HIGHEST_PORT = 32_767;
const MAX_DRAWS = 100;

const LOOPBACK = '127.0.0.1';
/** Another loopback address: holding a port there marks it as ours and leaves it free on LOOPBACK. */
const MARKER = '127.0.0.2';

/** A port of 127.0.0.1 that no other stage on this machine uses while it is reserved. */
export interface ReservedPort {
  readonly port: number;
  /** Whether nobody listens there now. */
  isFree(): Promise<boolean>;
  release(): Promise<void>;
}

/** Reserves a free loopback port. The reservation ends with the process at the latest. */
export async function reservePort(random: Random): Promise<ReservedPort> {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const port = LOWEST_PORT + Math.floor(random() * (HIGHEST_PORT - LOWEST_PORT + 1));
    const marker = await listen(MARKER, port);
    if (marker === 'in-use') continue;
    const isFree = async (): Promise<boolean> => {
      const tried = await listen(LOOPBACK, port);
      if (typeof tried === 'string') return false;
      await close(tried);
      return true;
    };
    const release = async (): Promise<void> => {
      if (typeof marker !== 'string') await close(marker);
    };
    if (await isFree()) return { port, isFree, release };
    await release();
  }
  throw new Error(
    `no free port: ${MAX_DRAWS} ports between ${LOWEST_PORT} and ${HIGHEST_PORT} were tried`,
  );
}

/** A listener that keeps no process alive. `'no-address'` where 127.0.0.2 does not exist (macOS). */
function listen(host: string, port: number): Promise<Server | 'in-use' | 'no-address'> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve('in-use');
      else if (error.code === 'EADDRNOTAVAIL') resolve('no-address');
      else reject(error);
    });
    server.listen({ host, port, exclusive: true }, () => resolve(server));
    server.unref();
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
