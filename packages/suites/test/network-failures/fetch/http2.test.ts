import { afterEach, expect, test } from '@jest/globals';
import { type Http2Session, constants } from 'node:http2';
import {
  FetchTimeoutError,
  type ResilientFetch,
  type ResilientFetchOptions,
  TruncatedBodyError,
  createResilientFetch,
} from '@holdfast/network';
import { type SilenceableHttp2Server, openHttp2Server } from '../../../src/fetch/http2-server.ts';
import { openRawServer, whole } from '../../../src/fetch/raw-server.ts';
import { TestDialer } from '../../../src/fetch/test-dialer.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

async function serve(
  onStream: Parameters<typeof openHttp2Server>[0],
): Promise<SilenceableHttp2Server> {
  const server = await openHttp2Server(onStream);
  opened.push(server);
  return server;
}

function client(
  server: SilenceableHttp2Server,
  options: ResilientFetchOptions = {},
): ResilientFetch {
  const dialer = new TestDialer();
  dialer.addresses.set('h2.test', '127.0.0.1');
  dialer.ca = server.ca;
  const resilientFetch = createResilientFetch({
    dialer,
    allowH2: true,
    retry: { initialDelayMs: 1, maxDelayMs: 10 },
    ...options,
  });
  opened.unshift(resilientFetch);
  return resilientFetch;
}

const answer: Parameters<typeof openHttp2Server>[0] = (stream, { body }) => {
  stream.respond({ ':status': 200 });
  stream.end(`answer${body}`);
};

test('HTTP/2 is offered only if it is allowed', async () => {
  const server = await serve(answer);
  expect(await (await client(server, { allowH2: false })(server.url)).text()).toBe('http/1.1');
  const response = await client(server)(server.url, { method: 'POST', body: ' to it' });
  expect(await response.text()).toBe('answer to it');
});

test('the calls of a burst share one session', async () => {
  const server = await serve(answer);
  const resilientFetch = client(server);
  const calls = Array.from({ length: 60 }, () => resilientFetch(server.url));
  for (const response of await Promise.all(calls)) expect(await response.text()).toBe('answer');
  expect(server.accepted).toBe(1);
});

test('the first deadline that passes in silence closes the session, and the next call succeeds', async () => {
  const server = await serve(answer);
  const resilientFetch = client(server, { timeoutMs: 60_000, pingAfterMs: 60_000 });
  await (await resilientFetch(server.url)).text();
  server.silence();
  const error = resilientFetch(server.url, { timeoutMs: 100 });
  await expect(error).rejects.toBeInstanceOf(FetchTimeoutError);
  expect(await (await resilientFetch(server.url)).text()).toBe('answer');
  expect(server.accepted).toBe(2);
  expect(resilientFetch.getStats()).toMatchObject({ failed: 1, connectionsDrained: 1 });
});

test('a session that is silent though it is asked by PING is closed, and its GETs are answered by another', async () => {
  const server = await serve(answer);
  const resilientFetch = client(server, { timeoutMs: 60_000, pingAfterMs: 50 });
  await (await resilientFetch(server.url)).text();
  server.silence();
  const calls = Array.from({ length: 20 }, () => resilientFetch(server.url));
  for (const response of await Promise.all(calls)) expect(await response.text()).toBe('answer');
  expect(resilientFetch.getStats()).toMatchObject({ failed: 0 });
});

test('a slow answer on a session that answers PING is waited for', async () => {
  let finish = (): void => {};
  const server = await serve((stream, request) => {
    finish = () => answer(stream, request);
  });
  const resilientFetch = client(server, { timeoutMs: 60_000, pingAfterMs: 300 });
  const call = resilientFetch(server.url);
  const pings = new Promise<void>((resolve) => {
    let count = 0;
    void waitUntil(() => server.sessions.size === 1).then(() => {
      for (const session of server.sessions) {
        session.on('ping', () => {
          count += 1;
          if (count === 2) resolve();
        });
      }
    });
  });
  await pings;
  finish();
  expect(await (await call).text()).toBe('answer');
  expect(server.accepted).toBe(1);
});

test('a stream that the server refuses is tried again, even for POST, and takes effect once', async () => {
  let refused = 0;
  const server = await serve((stream, request) => {
    if (refused === 0) {
      refused += 1;
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
    } else answer(stream, request);
  });
  const response = await client(server)(server.url, { method: 'POST', body: '!' });
  expect(await response.text()).toBe('answer!');
  expect(response.attempts).toBe(2);
});

test('a stream that is refused each time ends with the attempts that are allowed', async () => {
  const server = await serve((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
  const call = client(server)(server.url, { method: 'POST', body: '!' });
  await expect(call).rejects.toMatchObject({ code: 'NETWORK_FETCH_FAILED', where: 'headers' });
  expect(server.seen).toHaveLength(3);
});

test('streams above the last of a GOAWAY are tried again, even for POST; the one below it is not', async () => {
  let first: Http2Session | undefined;
  const server = await serve((stream, request) => {
    const { session } = stream;
    if (request.path !== '/second' || server.accepted > 1) {
      if (server.accepted > 1) {
        answer(stream, request);
        first?.destroy();
      }
      return;
    }
    // The first stream is begun with and never answered; the second was not looked at.
    session?.goaway(constants.NGHTTP2_NO_ERROR, 1);
    first = session;
  });
  const resilientFetch = client(server);
  const post = (path: string) =>
    resilientFetch(`${server.url}${path}`, { method: 'POST', body: '!' });
  const failed = post('first').catch((error: unknown) => error);
  await waitUntil(() => server.seen.length === 1);
  expect(await (await post('second')).text()).toBe('answer!');
  expect(await failed).toMatchObject({ written: 'all', outcome: 'unknown' });
  expect(server.seen.filter(({ path }) => path === '/first')).toHaveLength(1);
});

test('when a connection dies with 50 streams, each GET is answered and no POST is sent twice', async () => {
  const server = await serve((stream, request) => {
    if (server.accepted > 1) answer(stream, request);
    else if (server.seen.length === 50) stream.session?.destroy();
  });
  const resilientFetch = client(server);
  const calls = Array.from({ length: 50 }, (_, at) =>
    at % 2 === 0
      ? resilientFetch(`${server.url}${at}`)
      : resilientFetch(`${server.url}${at}`, { method: 'POST', body: '!' }),
  );
  const settled = await Promise.allSettled(calls);
  for (const [at, { status }] of settled.entries()) {
    expect(status).toBe(at % 2 === 0 ? 'fulfilled' : 'rejected');
  }
  const posts = server.seen.filter(({ method }) => method === 'POST');
  expect(new Set(posts.map(({ path }) => path)).size).toBe(posts.length);
});

test('a body that is reset, or shorter than its length, is no whole one', async () => {
  const server = await serve((stream, { path }) => {
    stream.respond({ ':status': 200, ...(path === '/length' && { 'content-length': '100' }) });
    if (path === '/length') stream.end('half');
    else stream.write('half', () => stream.destroy(new Error('reset')));
  });
  for (const path of ['reset', 'length']) {
    const response = await client(server, { retry: { maxAttempts: 1 } })(`${server.url}${path}`);
    await expect(response.text()).rejects.toBeInstanceOf(TruncatedBodyError);
  }
});

test('an abort ends its own stream, and leaves the others of the session alone', async () => {
  const server = await serve((stream, request) => {
    if (request.path === '/answered') answer(stream, request);
  });
  const resilientFetch = client(server);
  const aborter = new AbortController();
  const held = resilientFetch(server.url, { signal: aborter.signal });
  await waitUntil(() => server.seen.length === 1);
  aborter.abort('enough');
  await expect(held).rejects.toBe('enough');
  expect(await (await resilientFetch(`${server.url}answered`)).text()).toBe('answer');
  expect(server.accepted).toBe(1);
  await resilientFetch.close();
  await waitUntil(() => server.sessions.size === 0);
});

test('a redirect from https to http is refused', async () => {
  const plain = await openRawServer((socket) => socket.write(whole('plain')));
  opened.push(plain);
  const server = await serve((stream) => {
    stream.respond({ ':status': 302, location: plain.url });
    stream.end();
  });
  const call = client(server)(server.url);
  await expect(call).rejects.toMatchObject({
    code: 'NETWORK_REDIRECT_REFUSED',
    reason: 'insecure',
  });
  expect(plain.accepted).toBe(0);
});
