import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import { type ResilientFetch, createResilientFetch } from '@holdfast/network';

let url = '';
let requests = 0;
const server = createServer((request, response) => {
  requests += 1;
  if (request.url === '/busy') response.writeHead(503).end();
  else if (request.url === '/redirect') response.writeHead(302, { location: '/' }).end();
  else if (request.url === '/silent') return;
  else if (request.url === '/cut') {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
  } else if (request.url === '/gzip') {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('a'.repeat(1_000_000)));
  } else {
    response.writeHead(200, { 'x-accepted': request.headers['accept-encoding'] });
    request.pipe(response);
  }
});
let resilientFetch: ResilientFetch;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  url = typeof address === 'object' ? `http://127.0.0.1:${address?.port}` : '';
  resilientFetch = createResilientFetch({
    transport: 'fetch',
    maxBodyBytes: 10_000,
    retry: { initialDelayMs: 1, maxDelayMs: 1 },
  });
});
afterAll(async () => {
  await resilientFetch.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('what the fetch of the platform cannot promise is said, and options that need it are refused', () => {
  expect(resilientFetch.transport).toBe('fetch');
  expect(resilientFetch.limitations.join()).toContain('is not checked');
  for (const options of [
    { dialer: { dial: () => Promise.reject(new Error()) } },
    { allowH2: true },
  ]) {
    const construct = (): unknown => createResilientFetch({ transport: 'fetch', ...options });
    expect(construct).toThrow(InvalidOptionError);
    expect(construct).toThrow('the fetch of the platform connects by itself');
  }
});

test('bodies go out and come back, and no encoding is asked for', async () => {
  for (const body of ['text', Buffer.from('text'), new Blob(['text'])]) {
    const response = await resilientFetch(`${url}/`, { method: 'POST', body });
    expect(await response.text()).toBe('text');
    expect(response.headers.get('x-accepted')).toBe('identity');
  }
});

test('deadline, retry, redirect and truncated bodies hold as with undici', async () => {
  requests = 0;
  expect((await resilientFetch(`${url}/busy`)).status).toBe(503);
  expect(requests).toBe(3);
  const moved = await resilientFetch(`${url}/redirect`);
  expect(moved).toMatchObject({ redirected: true, status: 200, url: `${url}/` });
  const silent = resilientFetch(`${url}/silent`, { timeoutMs: 50 });
  await expect(silent).rejects.toMatchObject({ code: 'NETWORK_FETCH_TIMEOUT', where: 'headers' });
  const cut = await resilientFetch(`${url}/cut`);
  await expect(cut.text()).rejects.toMatchObject({ code: 'NETWORK_TRUNCATED_BODY' });
});

test('a body that comes encoded nevertheless is bounded, and flagged as unverified', async () => {
  const response = await resilientFetch(`${url}/gzip`);
  expect(response.unverifiedEnd).toBe(true);
  await expect(response.text()).rejects.toMatchObject({ code: 'NETWORK_BODY_TOO_LARGE' });
});
