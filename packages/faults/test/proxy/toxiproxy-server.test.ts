import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { closeAfterTest } from '../close-after-test.ts';
import { type ToxiproxyServer, createToxiproxyServer } from '@holdfast/faults';
import { systemClock } from '@holdfast/foundation';
import { type ICreateToxicBody, type Proxy, Toxiproxy } from 'toxiproxy-node-client';
import { fate, portOf, quiet, read } from '../servers.ts';

let upstream: Server;
let server: ToxiproxyServer;
let client: Toxiproxy;
const sockets: Socket[] = [];

beforeEach(async () => {
  upstream = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  server = await createToxiproxyServer({ port: 0, seed: 3 });
  client = new Toxiproxy(server.url);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
  upstream.close();
});

const made = (name = 'echo'): Promise<Proxy> =>
  client.createProxy({ name, listen: '127.0.0.1:0', upstream: `127.0.0.1:${portOf(upstream)}` });

async function dial({ listen }: { listen: string }): Promise<Socket> {
  const socket = connect(Number(listen.split(':')[1]), '127.0.0.1');
  socket.on('error', () => {});
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

/** How a new connection ends; a RST may come even before the client knows that it is connected. */
function fateOfNext({ listen }: { listen: string }): Promise<string> {
  const socket = connect(Number(listen.split(':')[1]), '127.0.0.1');
  sockets.push(socket);
  socket.end('x');
  return fate(socket);
}

async function echoMs(socket: Socket, bytes: Buffer): Promise<number> {
  const beganMs = systemClock.now();
  socket.write(bytes);
  expect((await read(socket, bytes.length)).equals(bytes)).toBe(true);
  return systemClock.now() - beganMs;
}

test("Toxiproxy's client creates, lists, changes and removes proxies", async () => {
  const proxy = await made();
  expect(await echoMs(await dial(proxy), Buffer.from('through'))).toBeGreaterThan(0);
  const all = await client.getAll();
  expect(Object.keys(all)).toEqual(['echo']);
  expect(all['echo']).toMatchObject({ listen: proxy.listen, enabled: true });
  expect(JSON.parse(await client.getVersion())).toEqual({
    version: expect.any(String),
  });
  await proxy.remove();
  await expect(client.get('echo')).rejects.toThrow('status code 404');
  expect(await fate(connect(Number(proxy.listen.split(':')[1]), '127.0.0.1'))).toBe('ECONNREFUSED');
});

test('populate creates a list of proxies, and keeps or changes existing ones', async () => {
  const { listen } = await made();
  const { upstream: to } = await client.get('echo');
  const populated = await client.populate([
    { name: 'echo', listen, upstream: to },
    { name: 'other', listen: '127.0.0.1:0', upstream: to, enabled: false },
  ]);
  expect(populated['echo']).toMatchObject({ listen, enabled: true });
  expect(populated['other']).toMatchObject({ enabled: false });
  await echoMs(await dial({ listen }), Buffer.from('the same'));
});

test('a disabled proxy refuses, and keeps its address when it is enabled again', async () => {
  const proxy = await made();
  const open = await dial(proxy);
  await echoMs(open, Buffer.from('open'));
  const end = fate(open);
  const { listen, upstream: to } = proxy;
  await proxy.update({ enabled: false, listen, upstream: to });
  expect(await end).toBe('FIN');
  expect(await fate(connect(Number(listen.split(':')[1]), '127.0.0.1'))).toBe('ECONNREFUSED');
  await client.reset();
  expect((await client.get('echo')).enabled).toBe(true);
  await echoMs(await dial(proxy), Buffer.from('back'));
});

const toxic = (
  type: ICreateToxicBody<unknown>['type'],
  attributes: object,
  stream: ICreateToxicBody<unknown>['stream'] = 'downstream',
): ICreateToxicBody<unknown> => ({ name: `my ${type}`, type, stream, toxicity: 1, attributes });

test('latency applies to each direction separately, and can be changed and removed', async () => {
  const proxy = await made();
  const socket = await dial(proxy);
  const down = await proxy.addToxic(toxic('latency', { latency: 60, jitter: 0 }));
  await proxy.addToxic({ ...toxic('latency', { latency: 60, jitter: 0 }, 'upstream'), name: 'up' });
  expect(await echoMs(socket, Buffer.from('slow'))).toBeGreaterThan(118);
  expect(await (await fetch(`${server.url}/proxies/echo/toxics`)).json()).toHaveLength(2);
  await proxy.getToxic('up').then((up) => up.remove());
  expect(await echoMs(socket, Buffer.from('less slow'))).toBeGreaterThan(58);
  const changed = await fetch(
    `${server.url}/proxies/echo/toxics/${encodeURIComponent(down.name)}`,
    {
      method: 'PATCH',
      body: JSON.stringify({ attributes: { latency: 1 }, toxicity: 0.5 }),
    },
  );
  expect(await changed.json()).toMatchObject({
    toxicity: 0.5,
    attributes: { latency: 1, jitter: 0 },
  });
});

test('bandwidth, slicer and limit_data apply to the bytes', async () => {
  const proxy = await made();
  const limit = await proxy.addToxic(toxic('limit_data', { bytes: 5 }));
  const cut = await dial(proxy);
  cut.write('hello and more');
  expect(String(await read(cut, 5))).toBe('hello');
  expect(await fate(cut)).toBe('FIN');
  await limit.remove();
  await proxy.addToxic(toxic('bandwidth', { rate: 100 }, 'upstream'));
  await proxy.addToxic(toxic('slicer', { average_size: 500, size_variation: 100, delay: 10 }));
  expect(await echoMs(await dial(proxy), Buffer.alloc(10_000, 'x'))).toBeGreaterThan(90);
});

test('a timeout, a reset and a slow close end connections as they do in Toxiproxy', async () => {
  const proxy = await made();
  const quietToxic = await proxy.addToxic(toxic('timeout', { timeout: 20 }));
  const silent = await dial(proxy);
  silent.write('anybody?');
  expect(await fate(silent)).toBe('FIN');
  await quietToxic.remove();
  const resets = await proxy.addToxic(toxic('reset_peer', { timeout: 0 }));
  expect(await fateOfNext(proxy)).toBe('ECONNRESET');
  await resets.remove();
  await proxy.addToxic(toxic('slow_close', { delay: 60 }));
  const closing = await dial(proxy);
  const beganMs = systemClock.now();
  closing.end();
  expect(await fate(closing)).toBe('FIN');
  expect(systemClock.now() - beganMs).toBeGreaterThan(58);
});

test('a timeout of 0 is silence until it is removed', async () => {
  const proxy = await made();
  const silence = await proxy.addToxic(toxic('timeout', { timeout: 0 }));
  const socket = await dial(proxy);
  const answer = read(socket, 5).then(String);
  socket.write('hello');
  expect(await Promise.race([answer, quiet().then(() => 'silence')])).toBe('silence');
  await silence.remove();
  expect(await answer).toBe('hello');
});

test('toxicity is the share of the connections a toxic applies to', async () => {
  const proxy = await made();
  await proxy.addToxic({ ...toxic('reset_peer', { timeout: 0 }), toxicity: 0.5 });
  const ends: string[] = [];
  for (let index = 0; index < 40; index += 1) {
    ends.push(await fateOfNext(proxy));
  }
  const struck = ends.filter((end) => end === 'ECONNRESET').length;
  expect(struck).toBeGreaterThan(8);
  expect(struck).toBeLessThan(32);
});

const ask = async (method: string, path: string, body?: unknown): Promise<[number, unknown]> => {
  const response = await fetch(server.url + path, {
    method,
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return [response.status, text.startsWith('{') ? JSON.parse(text) : text];
};
const failure = (status: number, error: unknown): [number, unknown] => [status, { status, error }];

test('requests that Toxiproxy refuses are refused with its status and message', async () => {
  await made();
  const upstreamOf = (port: number): string => `127.0.0.1:${port}`;
  const starting = expect.stringMatching(/^bad request body: /);
  const post = (path: string, body: unknown) => ask('POST', path, body);
  expect(await ask('GET', '/proxies/none')).toEqual(failure(404, 'proxy not found'));
  expect(await ask('DELETE', '/proxies/none')).toEqual(failure(404, 'proxy not found'));
  expect(await post('/proxies', {})).toEqual(failure(400, 'missing required field: name'));
  expect(await post('/proxies', { name: 'a' })).toEqual(
    failure(400, 'missing required field: upstream'),
  );
  expect(await post('/proxies', '{')).toEqual(failure(400, starting));
  expect(await post('/proxies', { name: 'a', upstream: 'nowhere' })).toEqual(
    failure(400, starting),
  );
  expect(await post('/proxies', { name: 'echo', upstream: upstreamOf(1) })).toEqual(
    failure(409, 'proxy already exists'),
  );
  const toxics = '/proxies/echo/toxics';
  expect(await ask('GET', `${toxics}/none`)).toEqual(failure(404, 'toxic not found'));
  expect(await ask('DELETE', `${toxics}/none`)).toEqual(failure(404, 'toxic not found'));
  expect(await post(toxics, { type: 'meteor' })).toEqual(failure(400, 'invalid toxic type'));
  expect(await post(toxics, { type: 'latency', stream: 'sideways' })).toEqual(
    failure(400, 'stream was invalid, can be either upstream or downstream'),
  );
  expect(await post(toxics, { type: 'latency', attributes: { latency: 'x' } })).toEqual(
    failure(400, starting),
  );
  expect(await post(toxics, { type: 'latency', toxicity: 2 })).toEqual(failure(400, starting));
  expect(await post(toxics, { type: 'latency' })).toMatchObject([
    200,
    { name: 'latency_downstream' },
  ]);
  expect(await post(toxics, { type: 'latency' })).toEqual(failure(409, 'toxic already exists'));
  const error = 'missing required field: upstream at proxy 1';
  expect(await post('/populate', [{ name: 'b' }])).toEqual([
    400,
    { status: 400, error, proxies: null },
  ]);
  expect(await ask('GET', '/nothing')).toEqual([404, '404 page not found\n']);
  expect(await ask('PUT', '/proxies')).toEqual([405, '']);
  const browser = await fetch(server.url, { headers: { 'user-agent': 'Mozilla/5.0' } });
  expect(browser.status).toBe(403);
});

test('an upstream that is not this machine is refused unless it is allowed', async () => {
  const elsewhere = { name: 'far', listen: '127.0.0.1:0', upstream: '192.0.2.1:80' };
  expect(await ask('POST', '/proxies', elsewhere)).toEqual(
    failure(400, expect.stringContaining('allowRemote')),
  );
  const permissive = closeAfterTest(await createToxiproxyServer({ port: 0, allowRemote: true }));
  const { status } = await fetch(`${permissive.url}/proxies`, {
    method: 'POST',
    body: JSON.stringify(elsewhere),
  });
  expect(status).toBe(201);
});

test('invalid options and a port in use are refused', async () => {
  const wrong = createToxiproxyServer({ port: -1 });
  await expect(wrong).rejects.toMatchObject({ code: 'INVALID_OPTION', field: 'port' });
  const taken = createToxiproxyServer({ port: server.port });
  await expect(taken).rejects.toMatchObject({ code: 'FAULTS_PROXY_LISTEN_FAILED' });
});
