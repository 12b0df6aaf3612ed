import { getEventListeners } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent, systemClock } from '@holdfast/foundation';
import {
  FetchFailedError,
  FetchRefusedError,
  FetchTimeoutError,
  type ResilientFetch,
  type ResilientFetchOptions,
  RetryLaterError,
  createResilientFetch,
} from '@holdfast/network';
import { type RawServer, openRawServer, whole } from '../../../src/fetch/raw-server.ts';
import { TestDialer } from '../../../src/fetch/test-dialer.ts';
import { waitUntil } from '../../../src/wait-until.ts';

/** A busy machine may add as much to a deadline. */
const SLACK_MS = 2_000;

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

async function serve(answer: Parameters<typeof openRawServer>[0]): Promise<RawServer> {
  const server = await openRawServer(answer);
  opened.push(server);
  return server;
}

function client(options: ResilientFetchOptions = {}): ResilientFetch {
  const fetched = createResilientFetch({
    dialer: new TestDialer(),
    retry: { initialDelayMs: 1, maxDelayMs: 10 },
    ...options,
  });
  opened.push(fetched);
  return fetched;
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('handles network partition: a server that does not answer costs the deadline, and no more', async () => {
  const server = await serve((socket, { path }) => {
    if (path === '/well') socket.write(whole('well'));
  });
  const resilientFetch = client({ timeoutMs: 100 });
  await resilientFetch(`${server.url}well`, { timeoutMs: 60_000 });
  const beganMs = systemClock.now();
  const error = await failureOf(resilientFetch(server.url));
  expect(error).toBeInstanceOf(FetchTimeoutError);
  expect(error).toMatchObject({ where: 'headers', written: 'all', retryable: true });
  expect(systemClock.now() - beganMs).toBeLessThan(100 + SLACK_MS);
});

test('a body that drips for ever ends with the deadline, as do headers that drip', async () => {
  const server = await serve((socket, { path }) => {
    const [first, rest] =
      path === '/body'
        ? [whole('', { 'content-length': '1000' }), 'x']
        : ['HTTP/1.1 200 OK\r\n', 'x: y\r\n'];
    socket.write(first);
    const drip = setInterval(() => socket.write(rest), 20);
    socket.on('close', () => clearInterval(drip));
  });
  const resilientFetch = client({ timeoutMs: 300, retry: { maxAttempts: 1 } });
  await import('undici');
  const response = await resilientFetch(`${server.url}body`);
  const body = await failureOf(response.text());
  expect(body).toBeInstanceOf(FetchTimeoutError);
  expect(body).toMatchObject({ where: 'body' });
  const headers = await failureOf(resilientFetch(`${server.url}headers`));
  expect(headers).toBeInstanceOf(FetchTimeoutError);
  await waitUntil(() => server.open.size === 0);
  expect(resilientFetch.getStats().running).toBe(0);
});

test('the wait for a free connection counts within the deadline', async () => {
  const server = await serve(() => {});
  const resilientFetch = client({ maxConcurrent: 1, timeoutMs: 60_000 });
  const holder = new AbortController();
  const held = failureOf(resilientFetch(server.url, { signal: holder.signal }));
  await waitUntil(() => server.accepted === 1);
  const error = await failureOf(resilientFetch(server.url, { timeoutMs: 50 }));
  expect(error).toBeInstanceOf(FetchTimeoutError);
  expect(error).toMatchObject({ where: 'admission', written: 'none', outcome: 'not-applied' });
  holder.abort('over');
  expect(await held).toBe('over');
});

test('a connect and a TLS handshake that never end count within the deadline', async () => {
  // Accepts, and says nothing in the handshake.
  const server = await serve(() => {});
  const resilientFetch = client({ timeoutMs: 100 });
  const error = await failureOf(resilientFetch(`https://127.0.0.1:${server.port}/`));
  expect(error).toBeInstanceOf(FetchTimeoutError);
  expect(error).toMatchObject({ where: 'connect', written: 'none' });
  await waitUntil(() => server.open.size === 0);
});

test('calls over maxQueueSize are refused at once, and nothing of them is sent', async () => {
  const server = await serve(() => {});
  const resilientFetch = client({ maxConcurrent: 1, maxQueueSize: 0 });
  const holder = new AbortController();
  const held = failureOf(resilientFetch(server.url, { signal: holder.signal }));
  const error = await failureOf(resilientFetch(server.url));
  expect(error).toBeInstanceOf(FetchRefusedError);
  expect(error).toMatchObject({ where: 'admission', written: 'none', retryable: true });
  holder.abort();
  await held;
});

test('an open circuit refuses the calls of its origin, and leaves the others alone', async () => {
  const well = await serve((socket) => socket.write(whole('well')));
  const ill = await serve((socket) => socket.write(whole('ill', {}, '500 Oops')));
  const resilientFetch = client({
    attemptTimeoutMs: 60_000,
    retry: { maxAttempts: 1 },
    circuitBreaker: { failureThreshold: 2, openDurationMs: 60_000 },
  });
  expect((await resilientFetch(ill.url)).status).toBe(500);
  expect((await resilientFetch(ill.url)).status).toBe(500);
  const error = await failureOf(resilientFetch(ill.url));
  expect(error).toBeInstanceOf(FetchRefusedError);
  expect(error).toMatchObject({ written: 'none', retryAfterMs: expect.any(Number) });
  expect(await (await resilientFetch(well.url)).text()).toBe('well');
});

test('a GET whose connection breaks is tried again, a POST that was written is not', async () => {
  let requests = 0;
  const server = await serve((socket) => {
    requests += 1;
    if (requests % 2 === 1) socket.destroy();
    else socket.write(whole('answer'));
  });
  const resilientFetch = client();
  const response = await resilientFetch(server.url);
  expect(await response.text()).toBe('answer');
  expect(response.attempts).toBe(2);
  const error = await failureOf(resilientFetch(server.url, { method: 'POST', body: 'once' }));
  expect(error).toBeInstanceOf(FetchFailedError);
  expect(error).toMatchObject({ written: 'all', outcome: 'unknown' });
  expect(requests).toBe(3);
});

test('a POST is tried again if it is said to be idempotent, or has an idempotency key', async () => {
  let requests = 0;
  const server = await serve((socket) => {
    requests += 1;
    if (requests % 2 === 1) socket.destroy();
    else socket.write(whole('answer'));
  });
  const resilientFetch = client();
  const said = await resilientFetch(server.url, { method: 'POST', body: 'x', idempotent: true });
  expect(said.status).toBe(200);
  const headers = { 'Idempotency-Key': 'one' };
  const keyed = await resilientFetch(server.url, { method: 'POST', body: 'x', headers });
  expect(keyed.status).toBe(200);
  expect(requests).toBe(4);
});

test('a POST of which nothing was written is tried again: the connection was refused', async () => {
  const server = await serve((socket) => socket.write(whole('answer')));
  const dialer = new TestDialer();
  dialer.refusals = 2;
  const resilientFetch = client({ dialer });
  const response = await resilientFetch(server.url, { method: 'POST', body: 'x' });
  expect(response.status).toBe(200);
  expect(dialer.dials).toBe(3);
});

test('a stream is sent once, though the method is idempotent', async () => {
  let requests = 0;
  const server = await serve((socket) => {
    requests += 1;
    socket.destroy();
  });
  const body = (async function* chunks() {
    yield Buffer.from('part');
  })();
  const headers = { 'content-length': '4' };
  const sent = client()(server.url, { method: 'PUT', body, headers, duplex: 'half' });
  expect(await failureOf(sent)).toBeInstanceOf(FetchFailedError);
  expect(requests).toBe(1);
});

test('a kept connection that the server closes as the request arrives costs a GET nothing, and a POST is not sent twice', async () => {
  const seen: string[] = [];
  const server = await serve((socket, { method, number }) => {
    seen.push(method);
    if (number === 1) socket.write(whole('first'));
    else socket.destroy();
  });
  // No attempt but the immediate one.
  const resilientFetch = client({ retry: { maxAttempts: 1 } });
  const retried = nextEvent(resilientFetch, 'retried');
  for (let call = 0; call < 3; call += 1) {
    expect(await (await resilientFetch(server.url)).text()).toBe('first');
  }
  expect(await retried).toMatchObject({ isImmediate: true, delayMs: 0 });
  expect(resilientFetch.getStats()).toMatchObject({ freshRetries: 2, retries: 0, failed: 0 });
  seen.length = 0;
  const error = await failureOf(resilientFetch(server.url, { method: 'POST', body: 'x' }));
  expect(error).toMatchObject({ written: 'all' });
  expect(seen).toStrictEqual(['POST']);
});

test('Retry-After within the deadline is waited for, and is no reason to answer later without it', async () => {
  let requests = 0;
  const server = await serve((socket) => {
    requests += 1;
    if (requests === 1) socket.write(whole('', { 'retry-after': '0.2' }, '503 Busy'));
    else socket.write(whole('answer'));
  });
  const beganMs = systemClock.now();
  expect(await (await client()(server.url)).text()).toBe('answer');
  expect(systemClock.now() - beganMs).toBeGreaterThanOrEqual(199);
});

test.each([
  ['86400', 86_400_000],
  ['1000000000', 1_000_000_000_000],
  ['9'.repeat(400), Number.MAX_SAFE_INTEGER],
])(
  'Retry-After %s is over the deadline, and a typed error says when to come back',
  async (header, retryAfterMs) => {
    const server = await serve((socket) =>
      socket.write(whole('', { 'retry-after': header }, '429 Slow')),
    );
    const error = await failureOf(client()(server.url));
    expect(error).toBeInstanceOf(RetryLaterError);
    expect(error).toMatchObject({ status: 429, retryAfterMs, retryable: true });
  },
);

test('Retry-After as a date is read by the wall clock, and one that makes no sense is left out', async () => {
  let header = new Date(Date.now() + 3_600_000).toUTCString();
  let requests = 0;
  const server = await serve((socket) => {
    requests += 1;
    socket.write(whole('', { 'retry-after': header }, '503 Busy'));
  });
  const error = await failureOf(client()(server.url));
  expect(error).toBeInstanceOf(RetryLaterError);
  requests = 0;
  for (header of ['-5', 'Wed, 99 Nov', 'soon', '1e9']) {
    expect((await client()(server.url)).status).toBe(503);
  }
  expect(requests).toBe(4 * 3);
});

test('a POST that is answered with 503 is not sent again; the answer is the caller’s', async () => {
  let requests = 0;
  const server = await serve((socket) => {
    requests += 1;
    socket.write(whole('', { 'retry-after': '0' }, '503 Busy'));
  });
  const response = await client()(server.url, { method: 'POST', body: 'x' });
  expect(response.status).toBe(503);
  expect(requests).toBe(1);
});

test('200 calls aborted in any stage leave no listener and no connection', async () => {
  const server = await serve((socket, { path }) => {
    if (path === '/body') socket.write(whole('', { 'content-length': '10' }));
  });
  const resilientFetch = client({ maxConcurrent: 50 });
  const aborter = new AbortController();
  const calls = Array.from({ length: 200 }, (_, at) =>
    resilientFetch(`${server.url}${at % 2 === 0 ? 'body' : ''}`, { signal: aborter.signal }).then(
      (response) => response.text(),
    ),
  );
  const settled = Promise.allSettled(calls);
  await waitUntil(() => server.open.size === 50);
  aborter.abort(new Error('enough'));
  for (const result of await settled) {
    expect(result).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
  }
  expect(getEventListeners(aborter.signal, 'abort')).toHaveLength(0);
  await waitUntil(() => server.open.size === 0, 5_000);
  expect(resilientFetch.getStats()).toMatchObject({ running: 0, failed: 200 });
  expect(resilientFetch.getStats().origins[0]).toMatchObject({ activeCount: 0, connections: 0 });
});

test('a body that is canceled frees its connection, and one that nobody reads is ended by the deadline', async () => {
  const server = await serve((socket) => {
    socket.write(whole('', { 'content-length': '10000000' }));
    socket.write(Buffer.alloc(5_000_000));
  });
  const resilientFetch = client({ timeoutMs: 500 });
  const canceled = await resilientFetch(server.url);
  await canceled.body?.cancel();
  expect(resilientFetch.getStats()).toMatchObject({ running: 0, succeeded: 1 });
  const unread = await resilientFetch(server.url);
  expect(unread.status).toBe(200);
  await waitUntil(() => server.open.size === 0);
  expect(resilientFetch.getStats()).toMatchObject({ running: 0, failed: 1 });
});

test('an attempt has a time of its own, and the next one answers within the deadline', async () => {
  let requests = 0;
  const server = await serve((socket) => {
    requests += 1;
    if (requests > 1) socket.write(whole('answer'));
  });
  const resilientFetch = client({ attemptTimeoutMs: 50, timeoutMs: 60_000 });
  const response = await resilientFetch(server.url);
  expect(await response.text()).toBe('answer');
  expect(response.attempts).toBe(2);
});

test('a closed client fails what runs, and refuses what comes', async () => {
  const server = await serve(() => {});
  const resilientFetch = client();
  const running = failureOf(resilientFetch(server.url, { method: 'POST' }));
  await waitUntil(() => server.open.size === 1);
  await resilientFetch.close();
  await resilientFetch.close();
  expect(await running).toMatchObject({
    code: 'NETWORK_FETCH_FAILED',
    written: 'all',
    outcome: 'unknown',
    retryable: false,
    cause: { code: 'NETWORK_CLOSED' },
  });
  await expect(resilientFetch(server.url)).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
  await waitUntil(() => server.open.size === 0);
});

test('a body whose client is closed ends with that, and not as one that the server cut', async () => {
  const server = await serve((socket) => {
    socket.write(whole('part', { 'content-length': '10' }));
  });
  const resilientFetch = client();
  const response = await resilientFetch(server.url);
  const body = failureOf(response.text());
  await resilientFetch.close();
  const closed = { code: 'NETWORK_FETCH_FAILED', where: 'body', retryable: false };
  expect(await body).toMatchObject({ ...closed, cause: { code: 'NETWORK_CLOSED' } });
});

test.each(['at once', 'after a part'])(
  'a body of the request that fails %s is the fault of the caller, not of the network or the server',
  async (when) => {
    const server = await serve((socket) => socket.write(whole('answer')));
    const resilientFetch = client({ circuitBreaker: { failureThreshold: 1 } });
    const failure = new Error('the disk is gone');
    async function* parts(): AsyncGenerator<Uint8Array> {
      if (when !== 'at once') yield Buffer.from('part');
      throw failure;
    }
    const error = await failureOf(resilientFetch(server.url, { method: 'PUT', body: parts() }));
    expect(error).toBeInstanceOf(FetchFailedError);
    expect(error).toMatchObject({
      where: 'request',
      retryable: false,
      cause: failure,
      message: /the body of the request failed/,
    });
    expect((await resilientFetch(server.url)).status).toBe(200);
  },
);

test('a broken connection is worth no other call with a stream that has been read', async () => {
  const server = await serve((socket) => socket.destroy());
  async function* parts(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('part');
  }
  const resilientFetch = client();
  const read = await failureOf(resilientFetch(server.url, { method: 'PUT', body: parts() }));
  expect(read).toMatchObject({ code: 'NETWORK_FETCH_FAILED', retryable: false });
  const kept = await failureOf(resilientFetch(server.url, { method: 'PUT', body: 'bytes' }));
  expect(kept).toMatchObject({ code: 'NETWORK_FETCH_FAILED', retryable: true });
});

test('a request without a server to connect to says so, with neither query nor secret', async () => {
  const server = await openRawServer(() => {});
  await server.close();
  const url = `${server.url}path?token=hidden`;
  const error = await failureOf(client()(url));
  expect(error).toMatchObject({
    where: 'connect',
    written: 'none',
    endpoint: { origin: new URL(url).origin },
  });
  expect(String(error)).toContain('ECONNREFUSED');
  expect(String(error)).not.toContain('hidden');
});
