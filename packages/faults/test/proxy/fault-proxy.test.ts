import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { createFaultProxy } from '@holdfast/faults';
import { nextEvent } from '@holdfast/foundation';
import { type Bench, fate, openBench, read, settled } from '../servers.ts';

let bench: Bench | undefined;
afterEach(async () => {
  await bench?.close();
  bench = undefined;
});

test('without a fault, bytes pass in both directions and are counted', async () => {
  bench = await openBench();
  const client = await bench.dial();
  client.write('hello');
  expect((await read(client, 5)).toString()).toBe('hello');
  expect(bench.proxy.getStats()).toMatchObject({
    connectionsOpen: 1,
    connectionsTotal: 1,
    connectionsRefused: 0,
    bytesToServer: 5,
    bytesToClient: 5,
  });
});

test('a half-close passes, and the other direction stays open', async () => {
  bench = await openBench({}, (socket) => {
    socket.resume();
    socket.on('end', () => socket.end('after the end'));
  });
  const client = await bench.dial();
  const closed = nextEvent(bench.proxy, 'closed');
  client.end('question');
  expect((await read(client, 13)).toString()).toBe('after the end');
  await closed;
  expect(bench.proxy.getStats().connectionsOpen).toBe(0);
});

test('a RST of the server reaches the client as a RST', async () => {
  bench = await openBench({}, (socket) => socket.on('data', () => socket.resetAndDestroy()));
  const client = await bench.dial();
  client.write('x');
  expect(await fate(client)).toBe('ECONNRESET');
});

test('a RST of the client reaches the server as a RST', async () => {
  bench = await openBench({}, (socket) => socket.resume());
  const { server } = bench;
  const client = await bench.dial();
  const [socket] = bench.accepted.length > 0 ? bench.accepted : await once(server, 'connection');
  const end = fate(socket);
  client.resetAndDestroy();
  expect(await end).toBe('ECONNRESET');
});

test('a refusing target resets the client and is counted', async () => {
  bench = await openBench();
  bench.server.close();
  await once(bench.server, 'close');
  const client = await bench.dial();
  expect(await fate(client)).toBe('ECONNRESET');
  expect(bench.proxy.getStats().connectionsRefused).toBe(1);
});

test('a slow reader slows the sender instead of filling the proxy', async () => {
  bench = await openBench({}, (socket) => socket.pause());
  const client = await bench.dial();
  const chunk = Buffer.alloc(1 << 20);
  for (let written = 0; written < 64; written += 1) client.write(chunk);
  const { proxy } = bench;
  expect(await settled(() => proxy.getStats().bytesToServer)).toBeLessThan(32 << 20);
  expect(client.writableLength).toBeGreaterThan(16 << 20);
});

test('small writes of a server to a client that does not read arrive complete later', async () => {
  const said = randomBytes(24 << 20);
  const say = async (socket: Socket): Promise<void> => {
    // Less than is read at once: the proxy reads on while a piece waits for the client.
    for (let from = 0; from < said.length; from += 10_000) {
      socket.write(said.subarray(from, from + 10_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  bench = await openBench({}, (socket) => void say(socket));
  const client = await bench.dial();
  const { proxy } = bench;
  expect(await settled(() => proxy.getStats().bytesToClient)).toBeLessThan(said.length);
  expect((await read(client, said.length)).equals(said)).toBe(true);
});

test('connections over the limit are dropped and counted', async () => {
  bench = await openBench({ maxConnections: 1 });
  const first = await bench.dial();
  const second = await bench.dial();
  expect(await fate(second)).toMatch(/FIN|ECONNRESET/);
  expect(first.destroyed).toBe(false);
  expect(bench.proxy.getStats().connectionsRefused).toBe(1);
});

test('a remote target is refused unless it is allowed', async () => {
  const elsewhere = createFaultProxy({ target: { host: 'example.org', port: 80 } });
  await expect(elsewhere).rejects.toMatchObject({
    code: 'FAULTS_REMOTE_TARGET',
    host: 'example.org',
  });
  const meant = await createFaultProxy({
    target: { host: '192.0.2.1', port: 80 },
    allowRemote: true,
  });
  await meant.close();
});

test.each([
  ['latency', { latencyMs: -1 }, 'latencyMs'],
  ['latency', { latencyMs: 1, probability: 1.5 }, 'probability'],
  ['latency', { latencyMs: 1, speed: 2 }, 'speed'],
  ['latency', { latencyMs: 1, direction: 'up' }, 'direction'],
  ['reset', { schedule: { forMs: 10, everyMs: 10 } }, 'schedule.everyMs'],
  ['earthquake', {}, 'kind'],
])('the fault %s with %p is refused, naming %s', async (kind, options, field) => {
  bench = await openBench();
  const faults: { set(kind: string, options: object): void } = bench.proxy.faults;
  expect(() => faults.set(kind, options)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
  expect(bench.proxy.faults.list()).toEqual([]);
});

test('close drops every connection, can be called twice, and no fault can be set afterwards', async () => {
  bench = await openBench();
  const { proxy } = bench;
  const client = await bench.dial();
  const end = fate(client);
  await Promise.all([proxy.close(), proxy.close()]);
  expect(await end).toMatch(/FIN|ECONNRESET/);
  expect(proxy.getStats().connectionsOpen).toBe(0);
  expect(() => proxy.faults.set('reset')).toThrow(
    expect.objectContaining({ code: 'FAULTS_PROXY_CLOSED' }),
  );
  const late = connect(proxy.port, proxy.host);
  expect(await fate(late)).toBe('ECONNREFUSED');
});

test('after refuse() it refuses, whatever the faults say, until accept()', async () => {
  bench = await openBench();
  const { proxy } = bench;
  const open = await bench.dial();
  const dialled = (): Promise<string> => {
    const client = connect(proxy.port, proxy.host);
    client.once('connect', () => client.end());
    return fate(client);
  };
  proxy.refuse();
  expect(await dialled()).toBe('ECONNREFUSED');
  await proxy.heal();
  expect(await dialled()).toBe('ECONNREFUSED');
  proxy.faults.set('down', { connections: 'keep' });
  await proxy.accept();
  expect(await dialled()).toBe('ECONNREFUSED');
  await proxy.heal();
  expect(await dialled()).toBe('FIN');
  open.write('still open');
  expect((await read(open, 10)).toString()).toBe('still open');
});
