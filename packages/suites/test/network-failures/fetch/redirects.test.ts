import { afterEach, expect, test } from '@jest/globals';
import {
  type ResilientFetch,
  type ResilientFetchOptions,
  createResilientFetch,
} from '@holdfast/network';
import {
  type RawRequest,
  type RawServer,
  openRawServer,
  whole,
} from '../../../src/fetch/raw-server.ts';
import { TestDialer } from '../../../src/fetch/test-dialer.ts';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** Redirects `/to` to the location of its query, and answers all else with what it got. */
async function openRedirecting(): Promise<RawServer & { seen: RawRequest[] }> {
  const seen: RawRequest[] = [];
  const server = await openRawServer((socket, request) => {
    seen.push(request);
    const url = new URL(request.path, 'http://any');
    const location = url.searchParams.get('location');
    if (location === null) socket.write(whole(JSON.stringify(request)));
    else {
      const status = url.searchParams.get('status') ?? '302';
      socket.write(whole('elsewhere', { location }, `${status} Elsewhere`));
    }
  });
  opened.push(server);
  return Object.assign(server, { seen });
}

function client(options: ResilientFetchOptions = {}): ResilientFetch {
  const resilientFetch = createResilientFetch({ dialer: new TestDialer(), ...options });
  opened.push(resilientFetch);
  return resilientFetch;
}

const to = (server: RawServer, location: string, status = 302): string =>
  `${server.url}to?status=${status}&location=${encodeURIComponent(location)}`;

const SECRETS = {
  authorization: 'Bearer hidden',
  cookie: 'session=hidden',
  'x-api-key': 'hidden',
  apikey: 'hidden',
  'proxy-authorization': 'hidden',
  'x-amz-security-token': 'hidden',
  'private-token': 'hidden',
};

test('secrets go along within the origin, and no header that may be one leaves it', async () => {
  const first = await openRedirecting();
  const second = await openRedirecting();
  const headers = { ...SECRETS, accept: 'text/plain', 'accept-language': 'en' };
  const within = await (await client()(to(first, '/within'), { headers })).json();
  expect(within).toMatchObject({ path: '/within', headers });
  const response = await client()(to(first, `${second.url}there`), { headers });
  const outside = JSON.stringify(await response.json());
  expect(outside).not.toContain('hidden');
  expect(outside).toContain('"accept":"text/plain"');
  expect(response).toMatchObject({ redirected: true, url: `${second.url}there` });
});

test('secrets that were left behind do not come back when the redirects do', async () => {
  const first = await openRedirecting();
  const second = await openRedirecting();
  const back = to(second, `${first.url}back`);
  const response = await client()(to(first, back), { headers: SECRETS });
  expect(JSON.stringify(await response.json())).not.toContain('hidden');
});

test('another port or another name of the same host is another origin', async () => {
  const first = await openRedirecting();
  const dialer = new TestDialer();
  dialer.addresses.set('other.test', '127.0.0.1');
  const there = `http://other.test:${first.port}/there`;
  const response = await client({ dialer })(to(first, there), { headers: SECRETS });
  expect(JSON.stringify(await response.json())).not.toContain('hidden');
});

test.each([
  [301, 'POST', 'GET', ''],
  [302, 'POST', 'GET', ''],
  [303, 'POST', 'GET', ''],
  [303, 'PUT', 'GET', ''],
  [301, 'PUT', 'PUT', 'sent'],
  [307, 'POST', 'POST', 'sent'],
  [308, 'POST', 'POST', 'sent'],
  [302, 'DELETE', 'DELETE', 'sent'],
])('%i after %s is followed by %s', async (status, method, followed, body) => {
  const server = await openRedirecting();
  const response = await client()(to(server, '/there', status), { method, body: 'sent' });
  const seen = await response.text();
  expect(JSON.parse(seen)).toMatchObject({ method: followed, body });
  expect(seen.includes('content-type')).toBe(body !== '');
});

test('a form and a Blob are sent again after 307; a stream that was read is a typed refusal', async () => {
  const server = await openRedirecting();
  const url = to(server, '/there', 307);
  const form = new FormData();
  form.set('field', 'value');
  const sent = await (await client()(url, { method: 'POST', body: form })).text();
  expect(sent).toContain('value');
  const blob = await client()(url, { method: 'POST', body: new Blob(['blob']) });
  expect(await blob.json()).toMatchObject({ body: 'blob' });
  const stream = new Blob(['stream']).stream();
  const headers = { 'content-length': '6' };
  const call = client()(url, { method: 'POST', body: stream, headers, duplex: 'half' });
  await expect(call).rejects.toMatchObject({
    code: 'NETWORK_REDIRECT_REFUSED',
    reason: 'body-not-replayable',
    written: 'all',
  });
});

test.each([
  ['ftp://127.0.0.1/', 'scheme'],
  ['file:///etc/passwd', 'scheme'],
  ['data:text/plain,x', 'scheme'],
  ['http://', 'invalid-location'],
  ['http://a..b/', 'invalid-location'],
  ['http://user:hidden@127.0.0.1/', 'credentials'],
])('a redirect to %s is refused: %s', async (location, reason) => {
  const server = await openRedirecting();
  const call = client()(to(server, location));
  await expect(call).rejects.toMatchObject({
    code: 'NETWORK_REDIRECT_REFUSED',
    where: 'redirect',
    reason,
  });
  await expect(call).rejects.not.toThrow('hidden');
  expect(server.seen).toHaveLength(1);
});

test('redirects end after maxRedirects, as do those in a circle', async () => {
  const server = await openRawServer((socket) =>
    socket.write(whole('', { location: '/again' }, '302 Again')),
  );
  opened.push(server);
  const resilientFetch = client({ maxRedirects: 3 });
  await expect(resilientFetch(server.url)).rejects.toMatchObject({ reason: 'too-many' });
  expect(resilientFetch.getStats()).toMatchObject({ redirects: 3, failed: 1, running: 0 });
  expect(resilientFetch.getStats().origins[0]).toMatchObject({ activeCount: 0 });
});

test('redirect: manual hands the answer over, redirect: error refuses it', async () => {
  const server = await openRedirecting();
  const response = await client()(to(server, '/there'), { redirect: 'manual' });
  expect(response.status).toBe(302);
  expect(await response.text()).toBe('elsewhere');
  const call = client()(to(server, '/there'), { redirect: 'error' });
  await expect(call).rejects.toMatchObject({ reason: 'not-allowed' });
});

test('each hop is dialed by the dialer, which may refuse it', async () => {
  const server = await openRedirecting();
  const dialer = new TestDialer();
  const refused: string[] = [];
  const checked = {
    dial: (...[target, options]: Parameters<TestDialer['dial']>) => {
      if (target.hostname === '127.0.0.1') return dialer.dial(target, options);
      refused.push(target.hostname);
      throw Object.assign(new Error('a private address'), { code: 'ERR_FORBIDDEN_ADDRESS' });
    },
  };
  const resilientFetch = client({ dialer: checked, retry: { maxAttempts: 1 } });
  for (const location of [
    'http://2130706434/',
    'http://0x7f.2/',
    'http://[::ffff:7f00:1]/',
    'http://0/',
  ]) {
    const call = resilientFetch(to(server, location));
    await expect(call).rejects.toMatchObject({ where: 'connect' });
  }
  // What the dialer gets is the address in its one form.
  expect(refused).toStrictEqual(['127.0.0.2', '127.0.0.2', '::ffff:7f00:1', '0.0.0.0']);
});
