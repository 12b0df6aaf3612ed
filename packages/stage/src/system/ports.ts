import { type Server, createServer } from 'node:net';
import type { Random } from '@holdfast/foundation';

/**
 * Below the ephemeral ports of Linux (from 32768) and macOS (from 49152). Any client could be given a port
 * from that range while its server is down; a client that reconnects could even be given the server's port
 * as its own and connect to itself.
 */
const LOWEST_PORT = 10_000;
const HIGHEST_PORT = 32_767;
const MAX_ATTEMPTS = 100;

const LOOPBACK = '127.0.0.1';
/** Another loopback address: listening on a port there reserves it and leaves it free on LOOPBACK. */
const MARKER = '127.0.0.2';

/** A port of 127.0.0.1 that no other stage of this machine uses while it is reserved. */
export interface ReservedPort {
  readonly port: number;
  /** Whether no process listens on it, nor on the ports that were reserved with it. */
  isFree(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * Reserves free loopback ports, and with each of them the ports at the given offsets above it. A reservation
 * ends with this process at the latest.
 */
export async function reservePorts(
  random: Random,
  count: number,
  offsets: readonly number[] = [],
): Promise<ReservedPort[]> {
  const reserved: ReservedPort[] = [];
  const highest = HIGHEST_PORT - Math.max(0, ...offsets);
  for (let attempt = 0; attempt < MAX_ATTEMPTS && reserved.length < count; attempt += 1) {
    const port = LOWEST_PORT + Math.floor(random() * (highest - LOWEST_PORT + 1));
    const found = await reserve([port, ...offsets.map((offset) => port + offset)]);
    if (found !== undefined) reserved.push(found);
  }
  if (reserved.length === count) return reserved;
  await Promise.all(reserved.map((port) => port.release()));
  const range = `between ${LOWEST_PORT} and ${HIGHEST_PORT}`;
  throw new Error(`too few free ports: ${MAX_ATTEMPTS} attempts ${range} gave ${reserved.length}`);
}

/** Reserves all of `ports` under the first of them; `undefined` when one of them is in use. */
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
  const server = await listen(LOOPBACK, port);
  if (typeof server === 'string') return false;
  await close(server);
  return true;
}

/** A listener that does not keep the process alive. `'no-address'` where 127.0.0.2 does not exist (macOS). */
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
