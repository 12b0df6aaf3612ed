import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { expect, test } from '@jest/globals';
import { faultKindNames, playStorm, storm } from '@holdfast/faults';
import { type Random, seededRandom, sleep, systemClock } from '@holdfast/foundation';
import { fate, openBench, quiet } from '../servers.ts';

/** More storms: `HOLDFAST_FAULT_STORMS=200`. */
const storms = Number(process.env['HOLDFAST_FAULT_STORMS'] ?? 4);
const seeds = Array.from({ length: storms }, (_, index) => index + 1);
const CLIENTS = 8;
const DURATION_MS = 400;

/** Connects, writes and ends in every way a client may, over and over, until the storm is over. */
async function clientOf(
  at: { host: string; port: number },
  random: Random,
  sockets: Set<Socket>,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    const socket = connect({ host: at.host, port: at.port, allowHalfOpen: random() < 0.5 });
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    if (random() < 0.9) socket.resume();
    const pieces = Math.floor(random() * 20);
    for (let piece = 0; piece < pieces && !socket.destroyed && !isOver(); piece += 1) {
      socket.write(Buffer.alloc(1 + Math.floor(random() ** 3 * 300_000)));
      await sleep(systemClock, random() * 10);
    }
    const end = random();
    if (end < 0.3) socket.end();
    else if (end < 0.5 && !socket.connecting) socket.resetAndDestroy();
    else if (end < 0.7) socket.destroy();
  }
}

test.each(seeds)(
  'after storm %d with every kind no connection is left in the proxy, and it closes',
  async (seed) => {
    const random = seededRandom(seed);
    const bench = await openBench({ seed, maxBufferedBytes: 65_536 }, (socket) => {
      const way = random();
      if (way < 0.6) socket.pipe(socket);
      else if (way < 0.8) socket.end('an answer to nothing');
      else if (way < 0.9) socket.resetAndDestroy();
      // The rest is not read at all.
    });
    const { proxy, accepted } = bench;
    const sockets = new Set<Socket>();
    let isOver = false;
    try {
      const weather = storm(seed, {
        durationMs: DURATION_MS,
        maxFaults: 30,
        kinds: faultKindNames,
      });
      const clients = Array.from({ length: CLIENTS }, (_, index) =>
        clientOf(proxy, seededRandom(seed * 100 + index), sockets, () => isOver),
      );
      await playStorm(proxy, weather);
      isOver = true;
      await Promise.all(clients);
      const gone = [...sockets].map((socket) => once(socket, 'close').catch(() => {}));
      for (const socket of sockets) socket.destroy();
      await Promise.all(gone);
      while (proxy.getStats().connectionsOpen > 0) {
        // One that is not read is the server's to end; some come late, out of a silence.
        for (const socket of accepted) socket.destroy();
        await quiet();
      }
      expect(proxy.getStats().connectionsTotal).toBeGreaterThan(CLIENTS);
      await proxy.close();
    } finally {
      await bench.close();
    }
  },
  30_000,
);

test('a client that ended before its server was dropped is closed when the fault is healed', async () => {
  const bench = await openBench({}, () => {});
  const { proxy } = bench;
  try {
    const client = await bench.dial();
    client.resume().end('the last of it');
    while (bench.accepted.length === 0 || proxy.getStats().bytesToServer < 14) await quiet();
    const isServedBy = (is: (socket: Socket) => boolean): boolean => bench.accepted.every(is);
    for (const socket of bench.accepted) socket.resume();
    while (!isServedBy((socket) => socket.readableEnded)) await quiet();
    proxy.faults.set('halfOpen');
    // It reads no more, so it learns of its loss by writing.
    while (!isServedBy((socket) => socket.closed)) {
      for (const socket of bench.accepted) socket.write('?');
      await quiet();
    }
    expect([client.closed, proxy.getStats().connectionsOpen]).toEqual([false, 1]);
    const end = fate(client);
    await proxy.heal();
    expect(await end).toBe('ECONNRESET');
    while (proxy.getStats().connectionsOpen > 0) await quiet();
  } finally {
    await bench.close();
  }
});
