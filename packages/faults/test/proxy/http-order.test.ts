import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import { type Socket, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type HttpFaultProxy, createHttpFaultProxy } from '@holdfast/faults';
import { closeAfterTest } from '../close-after-test.ts';
import { fate, portOf } from '../servers.ts';

let server: Server;
let proxy: HttpFaultProxy;
const asked: string[] = [];
const sockets: Socket[] = [];

beforeEach(async () => {
  server = createServer((request, response) => {
    void text(request).then((sent) => {
      asked.push(`${request.method} ${request.url} ${sent}`);
      if (request.url === '/none') response.writeHead(204).end();
      else {
        response.write(`answer to `);
        response.end(request.url);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = closeAfterTest(await createHttpFaultProxy({ target: { port: portOf(server) } }));
});
afterEach(() => {
  asked.length = 0;
  for (const socket of sockets.splice(0)) socket.destroy();
  server.closeAllConnections();
  server.close();
});

/** Sends everything at once over one connection, and returns all that comes back. */
async function exchange(...requests: string[]): Promise<string> {
  const socket = connect(proxy.port, proxy.host);
  sockets.push(socket);
  socket.write(requests.join(''));
  return text(socket);
}
const request = (method: string, url: string, body = ''): string =>
  `${method} ${url} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const last = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const statusesIn = (heard: string): string[] =>
  [...heard.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status ?? '');

test('requests sent together are answered in their order, by the server and by faults', async () => {
  proxy.faults.set('status', { status: 503, times: 1 });
  const heard = await exchange(request('POST', '/one', 'unsent'), request('GET', '/two'), last);
  expect(statusesIn(heard)).toEqual(['503', '200', '200']);
  expect(asked).toEqual(['GET /two ', 'GET /last ']);
  expect(heard.indexOf('/two')).toBeLessThan(heard.indexOf('/last'));
});

test('a slow body holds back the answers after it', async () => {
  proxy.faults.set('slowDrip', { delayMs: 5, dripBytes: 4, times: 1 });
  const heard = await exchange(request('GET', '/slow'), request('GET', '/next'), last);
  expect(statusesIn(heard)).toEqual(['200', '200', '200']);
  expect(heard).toMatch(/answer to \/slow[\s\S]*\/next[\s\S]*\/last/);
});

test('a client that waits for a 100 gets the answer of a fault, and then the end', async () => {
  proxy.faults.set('status', { status: 503 });
  const heard = await exchange(
    'PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
  );
  expect(statusesIn(heard)).toEqual(['503']);
  expect(heard).toContain('connection: close');
});

test.each(['malformedBody', 'truncatedBody', 'resetBody'] as const)(
  '%s leaves responses without a body as they are',
  async (kind) => {
    proxy.faults.set(kind);
    expect((await fetch(`${proxy.url}/none`)).status).toBe(204);
    const head = await fetch(`${proxy.url}/x`, { method: 'HEAD' });
    expect(head.status).toBe(200);
  },
);

test('faults that need no server answer when there is none, and others break the connection', async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
  proxy.faults.set('status', { status: 503 });
  expect((await fetch(proxy.url)).status).toBe(503);
  expect(proxy.getStats()).toMatchObject({ requestsTotal: 1, requestsBroken: 0 });
  proxy.heal();
  const socket = connect(proxy.port, proxy.host);
  sockets.push(socket);
  socket.write(last);
  expect(await fate(socket)).toBe('ECONNRESET');
  expect(proxy.getStats()).toMatchObject({ requestsTotal: 2, requestsBroken: 1 });
});

test('a body over the limit is answered by RST, and a chunked one under it has a length', async () => {
  proxy = closeAfterTest(
    await createHttpFaultProxy({ target: { port: portOf(server) }, maxBodyBytes: 15 }),
  );
  proxy.faults.set('slowDrip', { delayMs: 0, dripBytes: 1 });
  const fits = await fetch(`${proxy.url}/four`);
  expect([fits.headers.get('content-length'), await fits.text()]).toEqual([
    '15',
    'answer to /four',
  ]);
  await expect(fetch(`${proxy.url}/fives`)).rejects.toMatchObject({
    cause: { code: 'ECONNRESET' },
  });
});

test('a connection over the limit is reset, and closing ends open ones', async () => {
  proxy = closeAfterTest(
    await createHttpFaultProxy({ target: { port: portOf(server) }, maxConnections: 1 }),
  );
  const first = connect(proxy.port, proxy.host);
  sockets.push(first);
  await once(first, 'connect');
  const second = connect(proxy.port, proxy.host);
  sockets.push(second);
  expect(await fate(second)).toBe('ECONNRESET');
  const end = fate(first);
  await proxy.close();
  expect(await end).toMatch(/FIN|ECONNRESET/);
});
