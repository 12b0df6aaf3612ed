import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { type Bench, fate, openBench, quiet, read, settled } from '../servers.ts';

let bench: Bench | undefined;
afterEach(async () => {
  await bench?.close();
  bench = undefined;
});

/** A bench with one connection that has carried a byte each way. */
async function talking(
  seed = 1,
  serve?: (socket: Socket) => void,
): Promise<{ bench: Bench; client: Socket; server: Socket }> {
  bench = await openBench({ seed }, serve);
  const client = await bench.dial();
  client.write('.');
  await read(client, 1);
  const [server] = bench.accepted;
  if (server === undefined) throw new Error('nothing was accepted');
  return { bench, client, server };
}

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const beganMs = performance.now();
  await work();
  return performance.now() - beganMs;
}

async function echoed(client: Socket, text: string): Promise<string> {
  client.write(text);
  return (await read(client, text.length)).toString();
}

test('latency delays an open connection in each direction, and reports the achieved delay', async () => {
  const {
    bench: { proxy },
    client,
  } = await talking();
  proxy.faults.set('latency', { latencyMs: 40 });
  expect(await msOf(() => echoed(client, 'late'))).toBeGreaterThanOrEqual(80);
  const { wantedDelay, achievedDelay, excessDelay } = proxy.getStats();
  expect(wantedDelay).toMatchObject({ count: 2, minMs: 40 });
  expect(achievedDelay.minMs).toBeGreaterThanOrEqual(40);
  expect(excessDelay.count).toBe(2);
  proxy.faults.set('latency', { latencyMs: 40, direction: 'toClient' });
  await echoed(client, 'later');
  expect(proxy.getStats().wantedDelay.count).toBe(3);
});

test.each(['uniform', 'normal', 'exponential', 'pareto'] as const)(
  'jitter from the %s distribution does not reorder',
  async (distribution) => {
    const {
      bench: { proxy },
      client,
    } = await talking();
    proxy.faults.set('slice', { sliceBytes: 3, jitterBytes: 2 });
    proxy.faults.set('latency', { latencyMs: 1, jitterMs: 2, distribution });
    const text = Array.from({ length: 500 }, (_, index) => index).join(' ');
    expect(await echoed(client, text)).toBe(text);
  },
);

test('healing sends delayed bytes at once', async () => {
  const {
    bench: { proxy },
    client,
  } = await talking();
  proxy.faults.set('latency', { latencyMs: 3_600_000, direction: 'toServer' });
  const echo = echoed(client, 'held');
  await quiet();
  await proxy.heal();
  expect(await echo).toBe('held');
});

test('bandwidth takes the transmission time of the line', async () => {
  const {
    bench: { proxy },
    client,
  } = await talking();
  proxy.faults.set('bandwidth', { bytesPerSecond: 100_000, direction: 'toServer' });
  const ms = await msOf(() => echoed(client, 'x'.repeat(10_000)));
  expect(ms).toBeGreaterThanOrEqual(99);
  expect(ms).toBeLessThan(1_000);
});

test('slices arrive one by one and complete', async () => {
  const {
    bench: { proxy },
    client,
  } = await talking();
  proxy.faults.set('slice', { sliceBytes: 2, delayMs: 5, direction: 'toClient' });
  const sizes: number[] = [];
  client.on('data', (chunk) => sizes.push(chunk.length));
  expect(await echoed(client, 'abcdefgh')).toBe('abcdefgh');
  expect(sizes.length).toBeGreaterThan(1);
});

test('corruption flips one bit in about the requested share, and the same bits for equal seeds', async () => {
  const sent = Buffer.alloc(100_000);
  const corrupted = async (): Promise<Buffer> => {
    const {
      bench: { proxy, close },
      client,
    } = await talking(7);
    proxy.faults.set('corrupt', { byteShare: 0.01, direction: 'toServer' });
    client.write(sent);
    const got = await read(client, sent.length);
    await close();
    return got;
  };
  const [first, second] = [await corrupted(), await corrupted()];
  const flipped = first.filter((byte) => byte !== 0);
  expect(flipped.length).toBeGreaterThan(800);
  expect(flipped.length).toBeLessThan(1_200);
  expect(flipped.every((byte) => Number.isInteger(Math.log2(byte)))).toBe(true);
  expect(second.equals(first)).toBe(true);
});

test.each([
  ['close', 'FIN'],
  ['reset', 'ECONNRESET'],
] as const)('after the limit of data comes %s: %s', async (ending, end) => {
  const {
    bench: { proxy },
    client,
  } = await talking();
  proxy.faults.set('limitData', { maxBytes: 4, ending, direction: 'toServer' });
  expect(await echoed(client, 'four')).toBe('four');
  const fated = fate(client);
  client.write('more');
  expect(await fated).toBe(end);
});

test('slowClose delays the FIN and nothing else', async () => {
  const {
    bench: { proxy },
    client,
  } = await talking(1, (socket) => {
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('end', () => socket.end());
  });
  proxy.faults.set('slowClose', { delayMs: 3_600_000, direction: 'toClient' });
  let isEnded = false;
  const end = once(client, 'end').finally(() => (isEnded = true));
  client.end('last');
  expect((await read(client, 4)).toString()).toBe('last');
  await quiet();
  expect(isEnded).toBe(false);
  await proxy.heal();
  await end;
});

test('the bytes a fault holds back are bounded, and the sender is slowed beyond it', async () => {
  bench = await openBench({ maxBufferedBytes: 65_536 });
  bench.proxy.faults.set('latency', { latencyMs: 3_600_000 });
  const client = await bench.dial();
  for (let written = 0; written < 32; written += 1) client.write(Buffer.alloc(1 << 20));
  expect(await settled(() => client.writableLength)).toBeGreaterThan(8 << 20);
});

test('a RST follows the bytes that a fault holds back', async () => {
  const {
    bench: { proxy },
    client,
    server,
  } = await talking();
  proxy.faults.set('latency', { latencyMs: 3_600_000 });
  let isReset = false;
  const end = fate(server).finally(() => (isReset = true));
  client.resetAndDestroy();
  await quiet();
  expect(isReset).toBe(false);
  await proxy.heal();
  expect(await end).toBe('ECONNRESET');
});

test('a blackhole holds both directions, and the bytes arrive when it is healed', async () => {
  const {
    bench: { proxy },
    client,
  } = await talking();
  proxy.faults.set('blackhole');
  let got = '';
  client.on('data', (chunk) => (got += chunk.toString()));
  client.write('into the dark');
  await quiet();
  expect(got).toBe('');
  await proxy.heal();
  if (got.length < 13) await read(client, 13 - got.length);
  expect(got).toBe('into the dark');
});

test('a one-way partition passes requests and holds responses', async () => {
  const {
    bench: { proxy },
    client,
    server,
  } = await talking();
  proxy.faults.set('blackhole', { direction: 'toClient' });
  let got = '';
  client.on('data', (chunk) => (got += chunk.toString()));
  client.write('asked');
  await once(server, 'data');
  await quiet();
  expect(got).toBe('');
  await proxy.faults.clear('blackhole');
  if (got.length < 5) await read(client, 5 - got.length);
  expect(got).toBe('asked');
});

test('the end of a connection is not seen through a blackhole until it is healed', async () => {
  const {
    bench: { proxy },
    client,
    server,
  } = await talking();
  proxy.faults.set('blackhole');
  let ended = false;
  server.on('end', () => (ended = true));
  const end = once(server, 'end');
  client.end();
  await quiet();
  expect(ended).toBe(false);
  await proxy.heal();
  await end;
});

test('timeout is silent, then closes in order', async () => {
  const {
    bench: { proxy },
    client,
  } = await talking();
  proxy.faults.set('timeout', { timeoutMs: 30 });
  let got = 0;
  client.on('data', (chunk) => (got += chunk.length));
  client.write('anybody?');
  expect(await fate(client)).toBe('FIN');
  expect(got).toBe(0);
});

test('reset reaches both ends of an idle connection, and new ones', async () => {
  const {
    bench: { proxy, dial },
    client,
    server,
  } = await talking();
  const ends = Promise.all([fate(client), fate(server)]);
  proxy.faults.set('reset');
  expect(await ends).toEqual(['ECONNRESET', 'ECONNRESET']);
  expect(await fate(await dial())).toBe('ECONNRESET');
  await proxy.heal();
  expect(await echoed(await dial(), 'fine')).toBe('fine');
});

test.each(['reset', 'halfOpen'] as const)(
  'bytes written to an open connection after %s was set get no response',
  async (kind) => {
    const {
      bench: { proxy },
      client,
      server,
    } = await talking();
    let answeredBytes = 0;
    client.on('data', (chunk) => (answeredBytes += chunk.length));
    const serverEnd = fate(server);
    const before = proxy.getStats().bytesToServer;
    proxy.faults.set(kind);
    client.write('too late');
    expect(await serverEnd).toBe('ECONNRESET');
    expect(proxy.getStats().bytesToServer).toBe(before);
    expect(answeredBytes).toBe(0);
    client.destroy();
  },
);

test("halfOpen drops the server's end, and the client notices it when it writes after the fault", async () => {
  const {
    bench: { proxy },
    client,
    server,
  } = await talking();
  const serverEnd = fate(server);
  let clientEnded = false;
  const clientEnd = fate(client).finally(() => (clientEnded = true));
  proxy.faults.set('halfOpen');
  expect(await serverEnd).toBe('ECONNRESET');
  client.write('still there?');
  await quiet();
  expect(clientEnded).toBe(false);
  await proxy.heal();
  client.write('and now?');
  expect(await clientEnd).toBe('ECONNRESET');
});

test('silence accepts without a response, and the server sees the connection when it ends', async () => {
  bench = await openBench();
  bench.proxy.faults.set('silence');
  const client = await bench.dial();
  client.write('patience');
  await quiet();
  expect(bench.accepted).toHaveLength(0);
  await bench.proxy.heal();
  expect((await read(client, 8)).toString()).toBe('patience');
});

test.each([
  ['keep', 'kept'],
  ['close', 'FIN'],
  ['reset', 'ECONNRESET'],
] as const)('down with connections: %s', async (connections, end) => {
  const {
    bench: { proxy, dial },
    client,
  } = await talking();
  const { port } = proxy;
  const fated = connections === 'keep' ? undefined : fate(client);
  proxy.faults.set('down', { connections });
  expect(await fate(connect(port, proxy.host))).toBe('ECONNREFUSED');
  expect(await (fated ?? echoed(client, 'kept'))).toBe(end);
  await proxy.heal();
  expect(await echoed(await dial(), 'up')).toBe('up');
  expect(proxy.port).toBe(port);
});

test('the address stays the same, however often it goes down', async () => {
  bench = await openBench();
  const { proxy } = bench;
  for (let round = 0; round < 50; round += 1) {
    proxy.faults.set('down');
    expect(await fate(connect(proxy.port, proxy.host))).toBe('ECONNREFUSED');
    await proxy.heal();
    (await bench.dial()).destroy();
  }
  expect(proxy.getStats().connectionsTotal).toBe(50);
});

test('a proxy that goes down and up faster than it can listen ends in the last requested state', async () => {
  bench = await openBench();
  const { proxy } = bench;
  for (let round = 0; round < 20; round += 1) {
    proxy.faults.set('down');
    void proxy.heal();
  }
  await proxy.heal();
  (await bench.dial()).destroy();
  const healing = proxy.heal();
  proxy.faults.set('down');
  await healing;
  expect(await fate(connect(proxy.port, proxy.host))).toBe('ECONNREFUSED');
  await proxy.close();
  expect(await fate(connect(proxy.port, proxy.host))).toBe('ECONNREFUSED');
});

test('a fault applies to its share of the connections, and to the same ones for equal seeds', async () => {
  const strokes = async (seed: number): Promise<string> => {
    const drawn = await openBench({ seed });
    drawn.proxy.faults.set('blackhole', { probability: 0.5 });
    drawn.proxy.faults.set('latency', { latencyMs: 1, probability: 0.2 });
    for (let index = 0; index < 40; index += 1) await drawn.dial();
    const stats = drawn.proxy.getStats();
    const { hash, count } = drawn.proxy.decisions();
    await drawn.close();
    expect(count).toBe(80);
    expect(stats.injected.blackhole).toBeGreaterThan(5);
    expect(stats.injected.blackhole).toBeLessThan(35);
    return hash;
  };
  const first = await strokes(42);
  expect(await strokes(42)).toBe(first);
  expect(await strokes(43)).not.toBe(first);
});

test('a probability of 0 applies to no connection', async () => {
  const {
    bench: { proxy },
    client,
  } = await talking();
  proxy.faults.set('reset', { probability: 0 });
  proxy.faults.set('blackhole', { probability: 0 });
  expect(await echoed(client, 'spared')).toBe('spared');
  expect(proxy.getStats().injected).toMatchObject({ reset: 0, blackhole: 0 });
});
