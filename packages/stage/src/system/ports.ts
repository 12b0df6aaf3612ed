import { type Server, createServer } from 'node:net';
import type { Random } from '@holdfast/foundation';

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
  /** Whether nobody listens there now, nor on the ports that go with it. */
  isFree(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * Reserves free loopback ports, and with each those at the given distances above it. The reservation ends
 * with the process at the latest.
 */
export async function reservePorts(
  random: Random,
  count: number,
  offsets: readonly number[] = [],
): Promise<ReservedPort[]> {
  const reserved: ReservedPort[] = [];
  const highest = HIGHEST_PORT - Math.max(0, ...offsets);
  for (let draw = 0; draw < MAX_DRAWS && reserved.length < count; draw += 1) {
    const port = LOWEST_PORT + Math.floor(random() * (highest - LOWEST_PORT + 1));
    const found = await reserve([port, ...offsets.map((offset) => port + offset)]);
    if (found !== undefined) reserved.push(found);
  }
  if (reserved.length === count) return reserved;
  await Promise.all(reserved.map((port) => port.release()));
  const range = `between ${LOWEST_PORT} and ${HIGHEST_PORT}`;
  throw new Error(`too few free ports: ${MAX_DRAWS} draws ${range} gave ${reserved.length}`);
}

/** The first of `ports` with the others beside it; `undefined` when one of them is somebody else's. */
async function reserve(ports: readonly number[]): Promise<ReservedPort | undefined> {
  const markers: Server[] = [];
  const release = async (): Promise<void> => {
    await Promise.all(markers.splice(0).map(close));
  };
  for (const port of ports) {
    const marker = await listen(MARKER, port);
    if (typeof marker !== 'string') markers.push(marker);
    if (marker === 'in-use' || !(await isFree(port))) {
      await release();
      return undefined;
    }
  }
  const allFree = async (): Promise<boolean> => {
    for (const port of ports) if (!(await isFree(port))) return false;
    return true;
  };
  return { port: ports[0] ?? 0, isFree: allFree, release };
}

async function isFree(port: number): Promise<boolean> {
  const tried = await listen(LOOPBACK, port);
  if (typeof tried === 'string') return false;
  await close(tried);
  return true;
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
