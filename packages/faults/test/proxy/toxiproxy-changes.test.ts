import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ToxiproxyServer, createToxiproxyServer } from '@holdfast/faults';
import { Toxiproxy } from 'toxiproxy-node-client';
import { fate, portOf, read } from '../servers.ts';

let upstream: Server;
let taken: Server;
let server: ToxiproxyServer;
let client: Toxiproxy;
const sockets: Socket[] = [];
const servers: Server[] = [];

const listening = async (serve: (socket: Socket) => void): Promise<Server> => {
  const opened = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  servers.push(opened);
  opened.listen(0, '127.0.0.1');
  await once(opened, 'listening');
  return opened;
};

beforeEach(async () => {
  upstream = await listening((socket) => void socket.pipe(socket));
  taken = await listening((socket) => void socket.destroy());
  server = await createToxiproxyServer({ port: 0 });
  client = new Toxiproxy(server.url);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
  for (const opened of servers.splice(0)) opened.close();
});

interface Described {
  readonly name: string;
  readonly listen: string;
  readonly upstream: string;
  readonly enabled: boolean;
  readonly toxics: readonly unknown[];
  readonly error?: string;
}
const isDescribed = (body: unknown): body is Described => typeof body === 'object' && body !== null;

async function ask(method: string, path: string, body?: unknown): Promise<[number, Described]> {
  const response = await fetch(server.url + path, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const given: unknown = await response.json();
  if (!isDescribed(given)) throw new TypeError('no description');
  return [response.status, given];
}
const upstreamName = (): string => `127.0.0.1:${portOf(upstream)}`;
const create = (fields: object): Promise<[number, Described]> =>
  ask('POST', '/proxies', { name: 'echo', upstream: upstreamName(), ...fields });
const change = (fields: object): Promise<[number, Described]> =>
  ask('PATCH', '/proxies/echo', fields);
const shown = async (): Promise<Described> => (await ask('GET', '/proxies/echo'))[1];

function dial(listen: string): Socket {
  const at = listen.lastIndexOf(':');
  const socket = connect(Number(listen.slice(at + 1)), listen.slice(0, at).replace(/[[\]]/g, ''));
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

async function echoes(listen: string): Promise<string> {
  const socket = dial(listen);
  const end = fate(dial(listen));
  socket.write('hello');
  return read(socket, 5).then(String, () => end);
}

test.each([
  ['localhost:0', /^(?:127\.0\.0\.1|\[::1\]):\d+$/],
  ['[::1]:0', /^\[::1\]:\d+$/],
  ['', /^127\.0\.0\.1:\d+$/],
  [':0', /^127\.0\.0\.1:\d+$/],
  ['127.0.0.2:0', /^127\.0\.0\.2:\d+$/],
])(
  'a proxy on %s is disabled and enabled again at the address it was given',
  async (listen, to) => {
    const [status, made] = await create({ listen });
    expect(status).toBe(201);
    expect(made.listen).toMatch(to);
    const open = dial(made.listen);
    open.write('hello');
    expect(String(await read(open, 5))).toBe('hello');
    const end = fate(open);
    expect(await change({ enabled: false })).toEqual([200, { ...made, enabled: false }]);
    expect(await end).toBe('FIN');
    expect(await fate(dial(made.listen))).toBe('ECONNREFUSED');
    expect(await change({ enabled: true })).toEqual([200, made]);
    expect(await echoes(made.listen)).toBe('hello');
  },
);

test('a proxy that is created disabled is listed as it was given, and takes its address when enabled', async () => {
  const listen = 'localhost:0';
  const [status, made] = await create({ listen, enabled: false });
  expect([status, made]).toMatchObject([201, { listen, enabled: false, toxics: [] }]);
  expect(Object.keys(await client.getAll())).toEqual(['echo']);
  await ask('POST', '/proxies/echo/toxics', { type: 'latency', attributes: { latency: 1 } });
  const [, enabled] = await change({ enabled: true });
  expect(enabled).toMatchObject({ enabled: true, toxics: [{ type: 'latency' }] });
  expect(await echoes(enabled.listen)).toBe('hello');
});

test.each([
  ['no toxic', undefined],
  ['silence', { type: 'timeout', attributes: { timeout: 0 } }],
  ['latency', { type: 'latency', attributes: { latency: 60_000 } }],
  ['a slow close', { type: 'slow_close', attributes: { delay: 60_000 } }],
])('disabling ends both sides of a connection at once, also with %s', async (_, toxic) => {
  const [, made] = await create({ listen: 'localhost:0' });
  const accepted: Promise<Socket[]> = once(upstream, 'connection');
  const open = dial(made.listen);
  await once(open, 'connect');
  const [served] = await accepted;
  if (toxic !== undefined) await ask('POST', '/proxies/echo/toxics', toxic);
  open.write('on its way');
  const ends = Promise.all([fate(open), served && once(served, 'close')]);
  await change({ enabled: false });
  expect((await ends)[0]).toBe('FIN');
  const [, enabled] = await change({ enabled: true });
  expect(enabled.enabled).toBe(true);
  const again = dial(made.listen);
  await once(again, 'connect');
});

test('two disabled proxies can name one address, and one of them can have it', async () => {
  const listen = `127.0.0.1:${portOf(taken)}`;
  taken.close();
  await once(taken, 'close');
  expect(await create({ listen, enabled: false })).toMatchObject([201, { listen }]);
  expect(await create({ name: 'other', listen })).toMatchObject([201, { listen, enabled: true }]);
  const error = `listen tcp ${listen}: bind: address already in use`;
  expect(await change({ enabled: true })).toEqual([500, { status: 500, error }]);
  expect(await shown()).toMatchObject({ listen, enabled: false });
  await change({ enabled: false });
  await ask('PATCH', '/proxies/other', { enabled: false });
  expect(await change({ enabled: true })).toMatchObject([200, { listen, enabled: true }]);
});

const refused: [string, () => object, number][] = [
  ['a listen address in use', () => ({ listen: `127.0.0.1:${portOf(taken)}` }), 500],
  ['a listen address that is none', () => ({ listen: 'local373' }), 500],
  ['a listen host that is not known', () => ({ listen: 'nowhere.invalid:0' }), 500],
  ['a listen host that is not here', () => ({ listen: '192.0.2.1:0' }), 500],
  ['a port over 65535', () => ({ listen: '127.0.0.1:70000' }), 500],
  ['an upstream that is not this machine', () => ({ upstream: '192.0.2.1:80' }), 400],
  ['an upstream without a port', () => ({ upstream: 'localhost' }), 400],
  ['a wrong upstream and a good listen address', () => ({ upstream: 'x', listen: '[::1]:0' }), 400],
  [
    'a good upstream and a taken address',
    () => ({ upstream: 'localhost:9', listen: `localhost:${portOf(taken)}` }),
    500,
  ],
  ['enabled that is no boolean', () => ({ enabled: 'maybe', upstream: 'localhost:9' }), 400],
];

test.each(refused)('%s is refused, and the proxy goes on as it was', async (_, fields, status) => {
  const [, made] = await create({ listen: 'localhost:0' });
  await ask('POST', '/proxies/echo/toxics', { type: 'latency', attributes: { latency: 1 } });
  const before = await shown();
  const open = dial(made.listen);
  open.write('hello');
  expect(String(await read(open, 5))).toBe('hello');
  const [got, body] = await change(fields());
  expect([got, body]).toEqual([status, { status, error: expect.any(String) }]);
  expect(await shown()).toEqual(before);
  open.write('still');
  expect(String(await read(open, 5))).toBe('still');
  expect(await echoes(made.listen)).toBe('hello');
});

test('a disabled proxy whose address was taken says so, stays disabled, and comes back once it is free', async () => {
  const [, made] = await create({ listen: '127.0.0.1:0', enabled: true });
  await change({ enabled: false });
  const thief = createServer();
  servers.push(thief);
  thief.listen(Number(made.listen.split(':')[1]), '127.0.0.1');
  await once(thief, 'listening');
  const error = `listen tcp ${made.listen}: bind: address already in use`;
  expect(await change({ enabled: true })).toEqual([500, { status: 500, error }]);
  expect((await shown()).enabled).toBe(false);
  const reset = await fetch(`${server.url}/reset`, { method: 'POST' });
  expect([reset.status, await reset.json()]).toEqual([500, { status: 500, error }]);
  thief.close();
  await once(thief, 'close');
  expect(await change({ enabled: true })).toEqual([200, made]);
  expect(await echoes(made.listen)).toBe('hello');
});

test('an upstream and a listen address are changed with the toxics kept and open connections ended', async () => {
  const [, made] = await create({ listen: 'localhost:0' });
  await ask('POST', '/proxies/echo/toxics', { type: 'latency', attributes: { latency: 1 } });
  const open = dial(made.listen);
  await once(open, 'connect');
  const end = fate(open);
  const port = portOf(await listening((socket) => void socket.end('other')));
  const [, led] = await change({ upstream: `localhost:${port}` });
  expect(led).toMatchObject({ listen: made.listen, upstream: `localhost:${port}`, enabled: true });
  expect(await end).toBe('FIN');
  expect(String(await read(dial(made.listen), 5))).toBe('other');
  const [, moved] = await change({ listen: '[::1]:0' });
  expect(moved.listen).toMatch(/^\[::1\]:/);
  expect(moved.toxics).toHaveLength(1);
  expect(await fate(dial(made.listen))).toBe('ECONNREFUSED');
  expect(String(await read(dial(moved.listen), 5))).toBe('other');
});

test('a name of the address it has is no change, and leaves its connections open', async () => {
  const [, made] = await create({ listen: '127.0.0.1:0' });
  const open = dial(made.listen);
  const listen = made.listen.replace('127.0.0.1', 'localhost');
  expect(await change({ listen, upstream: made.upstream })).toEqual([200, made]);
  open.write('hello');
  expect(String(await read(open, 5))).toBe('hello');
});

test('populate keeps a proxy with the same addresses, and its toxics, and replaces one with others', async () => {
  const [, made] = await create({ listen: 'localhost:0' });
  await ask('POST', '/proxies/echo/toxics', { type: 'latency' });
  const port = made.listen.split(':').at(-1);
  const same = { name: 'echo', listen: `localhost:${port}`, upstream: upstreamName() };
  await client.populate([same]);
  expect((await shown()).toxics).toHaveLength(1);
  await client.populate([{ ...same, upstream: 'localhost:9' }]);
  expect(await shown()).toMatchObject({ upstream: 'localhost:9', listen: made.listen, toxics: [] });
});

test('populate refuses a list with a nameless proxy as a whole, and stops at one that cannot be opened', async () => {
  const one = { name: 'one', listen: 'localhost:0', upstream: upstreamName() };
  expect(await ask('POST', '/populate', [one, { name: '' }])).toEqual([
    400,
    { status: 400, error: 'missing required field: name at proxy 2', proxies: null },
  ]);
  expect(await client.getAll()).toEqual({});
  const bad = { name: 'two', listen: 'local373', upstream: upstreamName() };
  const [status, body] = await ask('POST', '/populate', [one, bad, { ...one, name: 'three' }]);
  expect([status, body]).toMatchObject([500, { status: 500, proxies: [{ name: 'one' }] }]);
  expect(Object.keys(await client.getAll())).toEqual(['one']);
});

test('noop changes nothing, is listed like other toxics, and needs no attributes', async () => {
  const [, made] = await create({ listen: 'localhost:0' });
  const noop = { name: 'foobar', type: 'noop', stream: '', toxicity: 1 };
  const expected = { ...noop, stream: 'downstream', attributes: {} };
  expect(await ask('POST', '/proxies/echo/toxics', noop)).toEqual([200, expected]);
  expect((await shown()).toxics).toEqual([expected]);
  expect(await echoes(made.listen)).toBe('hello');
  const removed = await fetch(`${server.url}/proxies/echo/toxics/foobar`, { method: 'DELETE' });
  expect(removed.status).toBe(204);
});

test.each([
  ['latency', { latency: 1000, jitter: 2000 }],
  ['bandwidth', { rate: 1000 }],
  ['slow_close', { delay: 1000 }],
  ['timeout', { timeout: 5000 }],
  ['slicer', { average_size: 1000, size_variation: 1000, delay: 1000 }],
  ['slicer', { average_size: 0, size_variation: 7, delay: 0 }],
  ['reset_peer', { timeout: 1000 }],
  ['limit_data', { bytes: 42 }],
])(
  '%s with the attributes %j is named, shown, changed by POST, and removed',
  async (type, attributes) => {
    await create({ listen: 'localhost:0' });
    const expected = {
      name: `${type}_downstream`,
      type,
      stream: 'downstream',
      toxicity: 1,
      attributes,
    };
    const path = '/proxies/echo/toxics';
    expect(await ask('POST', path, { type, attributes })).toEqual([200, expected]);
    expect(await ask('POST', path, { type, attributes })).toMatchObject([409, { status: 409 }]);
    expect(await ask('GET', `${path}/${expected.name}`)).toEqual([200, expected]);
    const changed = Object.fromEntries(Object.keys(attributes).map((name) => [name, 7]));
    expect(await ask('POST', `${path}/${expected.name}`, { attributes: changed })).toEqual([
      200,
      { ...expected, attributes: changed },
    ]);
    const removed = await fetch(`${server.url}${path}/${expected.name}`, { method: 'DELETE' });
    expect([removed.status, await removed.text()]).toEqual([204, '']);
    expect(await ask('GET', `${path}/${expected.name}`)).toMatchObject([404, { status: 404 }]);
  },
);

test('the metrics count the bytes of each direction by proxy, those that a toxic holds as received', async () => {
  const [, made] = await create({ name: 'a "name"\\', listen: 'localhost:0' });
  expect(await echoes(made.listen)).toBe('hello');
  const response = await fetch(`${server.url}/metrics`);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const metrics = await response.text();
  const labels = `listener="${made.listen}",proxy="a \\"name\\"\\\\",upstream="${made.upstream}"`;
  for (const way of ['received', 'sent']) {
    const name = `toxiproxy_proxy_${way}_bytes_total`;
    expect(metrics).toContain(`# TYPE ${name} counter\n`);
    for (const direction of ['upstream', 'downstream'])
      expect(metrics).toContain(`\n${name}{direction="${direction}",${labels}} 5\n`);
  }
});

test('every response has the id of its request', async () => {
  const ids = new Set<string | null>();
  for (const path of ['/version', '/proxies', '/proxies/none', '/nothing']) {
    const { headers } = await fetch(server.url + path);
    ids.add(headers.get('x-toxiproxy-request-id'));
  }
  expect([...ids]).toEqual(Array(4).fill(expect.stringMatching(/^[0-9a-v]{19}0$/)));
});

test('a path with a broken escape is refused, and the server goes on', async () => {
  expect((await fetch(`${server.url}/proxies/%E0%A4%A`)).status).toBe(400);
  expect((await fetch(`${server.url}/version`)).status).toBe(200);
});
