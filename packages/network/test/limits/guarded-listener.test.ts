import { once } from 'node:events';
import {
  Agent,
  Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
  createServer,
  get,
} from 'node:http';
import { type Server, type Socket, connect, createServer as createNetServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import {
  type GuardedListener,
  createBudget,
  createOverloadGate,
  gateRequests,
  listenWithinBudget,
} from '@holdfast/network/limits';

const closings: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0)) await close();
});

async function listenerOf(server: Server, descriptors: number, options: object = {}) {
  const budget = createBudget({ limits: { descriptors } });
  const at = { port: 0, host: '127.0.0.1' };
  const listener = await listenWithinBudget(server, at, { budget, ...options });
  closings.push(() => listener.close());
  // A response that never ends keeps its half-open connection.
  if (server instanceof HttpServer) closings.push(() => server.closeAllConnections());
  return { budget, listener, port: portOf(listener) };
}

function portOf(listener: GuardedListener): number {
  const address = listener.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function clientOf(port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  closings.push(() => socket.destroy());
  return socket;
}

async function ask(port: number, agent?: Agent): Promise<[number | undefined, string]> {
  const request = get({ port, host: '127.0.0.1', ...(agent === undefined ? {} : { agent }) });
  const [response]: IncomingMessage[] = await once(request, 'response');
  return response === undefined ? [0, ''] : [response.statusCode, await text(response)];
}

test('a server within its budget answers as if it listened itself, timeouts included', async () => {
  const options = { connectionsCheckingInterval: 20, headersTimeout: 400, requestTimeout: 500 };
  const server = createServer(options, (_, response) => response.end('hello'));
  const { budget, port } = await listenerOf(server, 10);
  expect(await ask(port)).toEqual([200, 'hello']);
  const slow = clientOf(port);
  slow.write('GET / HT');
  expect(await text(slow)).toContain('408');
  expect(budget.getStats().used.descriptors).toBeLessThanOrEqual(1);
});

test('a connection without room gets an answer, and the work in progress keeps descriptors', async () => {
  const server = createServer((_, response) => response.write('working'));
  const { budget, listener, port } = await listenerOf(server, 10);
  // 85 % of 10.
  const clients = Array.from({ length: 8 }, () => clientOf(port));
  for (const client of clients) client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await Promise.all(clients.map((client) => once(client, 'data')));
  expect(await ask(port)).toEqual([503, '']);
  expect(listener.getStats()).toMatchObject({ connections: 8, refused: 1, isPaused: false });
  // What serves them still gets a descriptor.
  (await budget.reserve({ descriptors: 2 })).release();
});

test('each of a crowd is served or refused in words, while the process has descriptors for it', async () => {
  const held: ServerResponse[] = [];
  const server = createServer((_, response) => void held.push(response));
  const { listener, port } = await listenerOf(server, 20);
  const statuses: (number | undefined)[] = [];
  const crowd = Array.from({ length: 60 }, async () => {
    const [status] = await ask(port, new Agent());
    statuses.push(status);
  });
  const over = Promise.all(crowd);
  const settled = (): boolean => held.length + statuses.length === 60;
  while (!settled()) await Promise.race([over, new Promise((resolve) => setImmediate(resolve))]);
  for (const response of held) response.end('hello');
  await over;
  expect(new Set(statuses)).toEqual(new Set([200, 503]));
  expect(listener.getStats()).toMatchObject({ pauses: 0 });
});

test('idle connections are closed before a new one is refused', async () => {
  const server = createServer((_, response) => response.end('hello'));
  const { listener, port } = await listenerOf(server, 10);
  const agents = Array.from({ length: 30 }, () => new Agent({ keepAlive: true }));
  closings.push(() => agents.forEach((agent) => agent.destroy()));
  for (const agent of agents) expect(await ask(port, agent)).toEqual([200, 'hello']);
  expect(listener.getStats()).toMatchObject({ refused: 0 });
  expect(listener.getStats().connections).toBeLessThanOrEqual(8);
});

test('a connection whose first request is on the way is not idle', async () => {
  const server = createServer((_, response) => response.write('working'));
  const { listener, port } = await listenerOf(server, 10);
  const silent = Array.from({ length: 8 }, () => clientOf(port));
  await Promise.all(silent.map((client) => once(client, 'connect')));
  while (listener.getStats().connections < 8) await new Promise((resolve) => setImmediate(resolve));
  for (const client of silent) client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  const answers = await Promise.all(silent.map((client) => once(client, 'data')));
  expect(answers.map(([bytes]) => String(bytes).slice(9, 12))).toEqual(Array(8).fill('200'));
});

test('a listener with too many to refuse pauses before the limit, and listens again when there is room', async () => {
  const server = createServer((_, response) => response.write('working'));
  const { listener, port } = await listenerOf(server, 2, { maxRefusing: 2 });
  const first = clientOf(port);
  first.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await once(first, 'data');
  const paused = nextEvent(listener, 'paused', { signal: AbortSignal.timeout(20_000) });
  const silent = [clientOf(port), clientOf(port)];
  await paused;
  expect(listener.getStats().isPaused).toBe(true);
  const [refusal] = await once(connect(port, '127.0.0.1'), 'error');
  expect(refusal).toMatchObject({ code: 'ECONNREFUSED' });
  const resumed = nextEvent(listener, 'resumed', { signal: AbortSignal.timeout(20_000) });
  for (const client of [first, ...silent]) client.destroy();
  await resumed;
  const again = clientOf(port);
  again.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  expect(String(await once(again, 'data'))).toContain('200');
});

test('a server of another protocol resets what it has no room for', async () => {
  const server = createNetServer((socket) => socket.end('bye'));
  const { port, budget } = await listenerOf(server, 2, { refusal: '' });
  expect(await text(clientOf(port))).toBe('bye');
  const held = await budget.reserve({ descriptors: 2 });
  const [reset] = await once(connect(port, '127.0.0.1'), 'error');
  expect(reset).toMatchObject({ code: 'ECONNRESET' });
  held.release();
});

test('a closed listener accepts nothing, and its open connections stay', async () => {
  const server = createServer((_, response) => void response.write('working'));
  const { listener, port } = await listenerOf(server, 10);
  const client = clientOf(port);
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await once(client, 'data');
  await listener.close();
  await listener.close();
  const [refusal] = await once(connect(port, '127.0.0.1'), 'error');
  expect(refusal).toMatchObject({ code: 'ECONNREFUSED' });
  expect(client.destroyed).toBe(false);
});

test('a port that is taken is the error of listening', async () => {
  const { port } = await listenerOf(createServer(), 10);
  const budget = createBudget({ limits: { descriptors: 10 } });
  await expect(
    listenWithinBudget(createServer(), { port, host: '127.0.0.1' }, { budget }),
  ).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('a gated handler answers 503 with retry-after, holds its slot until the response ends, and forgets who left', async () => {
  const gate = createOverloadGate({ maxConcurrent: 1, maxWaiting: 1 });
  const finish: (() => void)[] = [];
  const server = createServer(
    gateRequests(gate, (_, response) => finish.push(() => response.end('served'))),
  );
  const { port } = await listenerOf(server, 100);
  const started = once(server, 'request');
  const first = ask(port);
  await started;
  const left = clientOf(port);
  const waits = once(server, 'request');
  left.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await waits;
  const next = once(server, 'request');
  const second = ask(port);
  await next;
  // The queue has one place: who waited longest is answered.
  const [bytes] = await once(left, 'data');
  expect(String(bytes)).toMatch(/^HTTP\/1.1 503[^]*retry-after: 1\r/i);
  finish.shift()?.();
  expect(await first).toEqual([200, 'served']);
  while (finish.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const gone = clientOf(port);
  const goneWaits = once(server, 'request');
  gone.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await goneWaits;
  gone.destroy();
  while (gate.getStats().waiting > 0) await new Promise((resolve) => setImmediate(resolve));
  finish.shift()?.();
  expect(await second).toEqual([200, 'served']);
  expect(gate.getStats()).toMatchObject({ running: 0, served: 2, refused: 1 });
});

test.each([
  [{}, 'budget'],
  [{ budget: createBudget({ limits: { descriptors: 1 } }), maxRefusing: 0 }, 'maxRefusing'],
  [{ budget: createBudget({ limits: { descriptors: 1 } }), limit: 0 }, 'limit'],
])('listenWithinBudget is refused by the name of the option (%#)', async (options, field) => {
  const listening = Reflect.apply(listenWithinBudget, undefined, [
    createServer(),
    { port: 0 },
    options,
  ]);
  await expect(listening).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field,
  });
});
