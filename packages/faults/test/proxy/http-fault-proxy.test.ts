import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type HttpFaultProxy, createHttpFaultProxy } from '@holdfast/faults';
import { portOf } from '../servers.ts';

const BODY = JSON.stringify({ bundles: ['DE', 'FR', 'JP'] });
let server: Server;
let proxy: HttpFaultProxy;

beforeEach(async () => {
  server = createServer((request, response) => {
    void text(request).then((sent) => {
      response.setHeader('content-type', 'application/json');
      response.setHeader('x-asked', `${request.method} ${request.url} ${sent}`);
      response.end(BODY);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await createHttpFaultProxy({ target: { port: portOf(server) }, seed: 5 });
});
afterEach(async () => {
  await proxy.close();
  server.closeAllConnections();
  server.close();
});

const get = (init?: RequestInit): Promise<Response> => fetch(`${proxy.url}/a?b=c`, init);

test('without a fault, request and response pass unchanged', async () => {
  const response = await get({ method: 'POST', body: 'question' });
  expect(response.headers.get('x-asked')).toBe('POST /a?b=c question');
  expect(await response.text()).toBe(BODY);
});

test("a status, a rate limit and a redirect loop replace the server's response", async () => {
  proxy.faults.set('status', { status: 503 });
  expect((await get()).status).toBe(503);
  proxy.faults.set('rateLimit', { retryAfterSeconds: 7 });
  const limited = await get();
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
  proxy.heal();
  proxy.faults.set('redirectLoop');
  await expect(get()).rejects.toMatchObject({ cause: { message: 'redirect count exceeded' } });
});

test('a malformed body has a matching length and does not parse', async () => {
  proxy.faults.set('malformedBody');
  const response = await get();
  expect(response.headers.get('content-length')).toBe(String(BODY.length >> 1));
  await expect(response.json()).rejects.toMatchObject({ name: 'SyntaxError' });
});

test('a truncated body ends before its stated length', async () => {
  proxy.faults.set('truncatedBody');
  const response = await get();
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toMatchObject({ cause: { code: 'UND_ERR_SOCKET' } });
});

test('a reset or bytes that are not HTTP replace the response, and a reset ends its body', async () => {
  proxy.faults.set('reset', { times: 1 });
  await expect(get()).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
  proxy.faults.set('notHttp', { times: 1 });
  await expect(get()).rejects.toMatchObject({ cause: { name: 'HTTPParserError' } });
  proxy.faults.set('resetBody', { times: 1 });
  const broken = get().then((response) => response.text());
  // Node 22 takes a reset behind bytes for the end of them.
  const code = expect.stringMatching(/^(?:ECONNRESET|UND_ERR_SOCKET)$/);
  await expect(broken).rejects.toMatchObject({ cause: { code } });
  expect(await (await get()).text()).toBe(BODY);
});

test('a slow drip arrives complete, piece by piece', async () => {
  proxy.faults.set('slowDrip', { delayMs: 2, dripBytes: 8 });
  const response = await get();
  const pieces: number[] = [];
  for await (const piece of response.body ?? []) pieces.push(piece.length);
  expect(pieces.length).toBeGreaterThan(1);
  expect(pieces.reduce((sum, length) => sum + length, 0)).toBe(BODY.length);
});

test('a wrong content type leaves the body as it was', async () => {
  proxy.faults.set('wrongContentType');
  const response = await get();
  expect(response.headers.get('content-type')).toBe('text/html');
  expect(await response.text()).toBe(BODY);
});

test('a client can abort during a delay, and the next request is served', async () => {
  proxy.faults.set('delay', { delayMs: 3_600_000, times: 1 });
  const caller = new AbortController();
  const waiting = get({ signal: caller.signal }).catch((reason: unknown) => reason);
  while (proxy.getStats().requestsTotal === 0)
    await new Promise((resolve) => setImmediate(resolve));
  caller.abort(new Error('enough'));
  expect(await waiting).toEqual(new Error('enough'));
  expect((await get()).status).toBe(200);
});

test('a stopped server breaks the connection', async () => {
  server.closeAllConnections();
  server.close();
  await expect(get()).rejects.toMatchObject({ cause: { code: expect.any(String) } });
  expect(proxy.getStats().requestsBroken).toBe(1);
});

test('faults apply to the share of the requests, and to the same ones for equal seeds', async () => {
  proxy.faults.set('status', { status: 500, probability: 0.5 });
  const statuses: number[] = [];
  for (let index = 0; index < 40; index += 1) statuses.push((await get()).status);
  const again = await createHttpFaultProxy({ target: { port: portOf(server) }, seed: 5 });
  again.faults.set('status', { status: 500, probability: 0.5 });
  for (let index = 0; index < 40; index += 1) await fetch(again.url);
  expect(again.decisions()).toEqual(proxy.decisions());
  await again.close();
  const struck = statuses.filter((status) => status === 500).length;
  expect(proxy.getStats().injected).toEqual({ status: struck });
  expect(struck).toBeGreaterThan(8);
  expect(struck).toBeLessThan(32);
});

test('invalid options, unknown kinds, remote targets and closed proxies are refused', async () => {
  const faults: { set(kind: string, options: object): void } = proxy.faults;
  expect(() => faults.set('status', { status: 99 })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'status' }),
  );
  expect(() => faults.set('meteor', {})).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'kind' }),
  );
  const elsewhere = createHttpFaultProxy({ target: { host: '192.0.2.1', port: 80 } });
  await expect(elsewhere).rejects.toMatchObject({ code: 'FAULTS_REMOTE_TARGET' });
  await Promise.all([proxy.close(), proxy.close()]);
  expect(() => proxy.faults.set('redirectLoop')).toThrow(
    expect.objectContaining({ code: 'FAULTS_PROXY_CLOSED' }),
  );
});
