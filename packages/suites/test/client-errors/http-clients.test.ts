import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { retryAfterMsOf, systemClock } from '@holdfast/foundation';
import { type ErrorKind, classifyError, createResilienceStack } from '@holdfast/resilience';
import { type Stage, openStage } from '@holdfast/stage';
import axios from 'axios';
import got from 'got';
import ky from 'ky';
import superagent from 'superagent';
import { Agent, interceptors, request as undiciRequest } from 'undici';
import { errorOf } from '../../src/client-errors/error-of.ts';

const TIMEOUT_MS = 300;

let stage: Stage<{ upstream: true }>;
beforeAll(async () => {
  stage = await openStage({ upstream: true });
});
afterAll(() => stage.close());
beforeEach(() => stage.upstream.link.heal());

/** One call of a client; it fails as the client's own user sees it. */
interface Call {
  readonly url: string;
  /** Absent unless the call is to be timed out by the client itself. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

async function fetchJson({ url, timeoutMs, signal }: Call): Promise<unknown> {
  const limit = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, { signal: signal ?? limit ?? null });
  if (!response.ok) throw Object.assign(new Error(response.statusText), { response });
  return response.json();
}

async function nodeJson({ url, timeoutMs, signal }: Call): Promise<unknown> {
  const limit = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const request = httpRequest(url, { signal: signal ?? limit, agent: false });
  request.end();
  const [response] = await once(request, 'response');
  const { statusCode, headers } = response;
  if (statusCode >= 400) throw Object.assign(new Error('refused'), { statusCode, headers });
  return json(response);
}

async function undiciJson({ url, timeoutMs, signal }: Call): Promise<unknown> {
  const dispatcher = new Agent().compose(interceptors.responseError());
  const limits = timeoutMs === undefined ? {} : { headersTimeout: timeoutMs };
  const { body } = await undiciRequest(url, { dispatcher, ...limits, signal: signal ?? null });
  return body.json();
}

async function superagentJson({ url, timeoutMs, signal }: Call): Promise<unknown> {
  const request = superagent.get(url);
  if (timeoutMs !== undefined) request.timeout(timeoutMs);
  request.on('abort', () => {});
  signal?.addEventListener('abort', () => {
    try {
      request.abort();
    } catch {
      // It also throws the error with which it rejects.
    }
  });
  return (await request).body;
}

const clients: Readonly<Record<string, (call: Call) => Promise<unknown>>> = {
  fetch: fetchJson,
  'node:http': nodeJson,
  undici: undiciJson,
  axios: async ({ url, timeoutMs, signal }) =>
    (await axios.get(url, { timeout: timeoutMs ?? 0, ...(signal && { signal }) })).data,
  got: ({ url, timeoutMs, signal }) =>
    got(url, {
      retry: { limit: 0 },
      timeout: timeoutMs ? { request: timeoutMs } : {},
      ...(signal && { signal }),
    }).json(),
  ky: ({ url, timeoutMs, signal }) =>
    ky(url, { retry: 0, timeout: timeoutMs ?? false, signal: signal ?? null }).json(),
  superagent: superagentJson,
};

/** What goes wrong, and the kind it has to be, whatever the client. */
const troubles: readonly {
  readonly trouble: string;
  readonly kind: ErrorKind;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
}[] = [
  { trouble: '400', status: 400, kind: 'client_error' },
  { trouble: '401', status: 401, kind: 'client_error' },
  { trouble: '404', status: 404, kind: 'client_error' },
  { trouble: '408', status: 408, kind: 'network_timeout' },
  { trouble: '409', status: 409, kind: 'client_error' },
  { trouble: '422', status: 422, kind: 'client_error' },
  {
    trouble: '429 with Retry-After',
    status: 429,
    headers: { 'Retry-After': '7' },
    kind: 'rate_limited',
    retryAfterMs: 7_000,
  },
  {
    trouble: '429 with retry-after-ms',
    status: 429,
    headers: { 'retry-after-ms': '250', 'retry-after': '1' },
    kind: 'rate_limited',
    retryAfterMs: 250,
  },
  { trouble: '500', status: 500, kind: 'server_error' },
  { trouble: '501', status: 501, kind: 'client_error' },
  { trouble: '502', status: 502, kind: 'server_error' },
  { trouble: '503', status: 503, kind: 'service_unavailable' },
  { trouble: '504', status: 504, kind: 'gateway_timeout' },
];

const cases = Object.entries(clients).flatMap(([client, call]) =>
  troubles.map((trouble) => [client, trouble.trouble, call, trouble] as const),
);

test.each(cases)('%s: %s is of the same kind for every client', async (_, __, call, expected) => {
  const { status = 500, headers = {}, kind, retryAfterMs } = expected;
  await stage.upstream.script([{ path: '/*', status, headers, body: { message: 'no' } }]);
  const error = await errorOf(call({ url: `${stage.upstream.url}/a` }));
  expect(classifyError(error)).toBe(kind);
  expect(retryAfterMsOf(error, systemClock.epochMs())).toBe(retryAfterMs);
  // As a Holdfast caller wraps it.
  expect(classifyError(new Error('wrapped', { cause: error }))).toBe(kind);
  expect(retryAfterMsOf(new Error('wrapped', { cause: error }), 0)).toBe(retryAfterMs);
});

const byClient = Object.entries(clients);

test.each(byClient)('%s: a 404 is not retried and opens no circuit; a 429 is', async (_, call) => {
  const stack = createResilienceStack({
    circuitBreaker: { failureThreshold: 2 },
    retry: { maxAttempts: 3, initialDelayMs: 1, maxRetryAfterMs: 1 },
  });
  let attempts = 0;
  const attempt = (): Promise<unknown> => {
    attempts += 1;
    return call({ url: `${stage.upstream.url}/a` });
  };
  await stage.upstream.script([{ path: '/*', status: 404 }]);
  for (let calls = 1; calls <= 5; calls += 1) {
    await errorOf(stack.execute(attempt));
    expect(attempts).toBe(calls);
  }
  attempts = 0;
  await stage.upstream.script([{ path: '/*', first: [{ status: 429 }], body: { ok: true } }]);
  expect(await stack.execute(attempt)).toEqual({ ok: true });
  expect(attempts).toBe(2);
});

test.each(byClient)('%s: a connection that is reset is a network error', async (_, call) => {
  stage.upstream.link.faults.set('reset');
  const error = await errorOf(call({ url: `${stage.upstream.url}/a` }));
  expect(classifyError(error)).toBe('network_error');
});

test.each(byClient)('%s: a body that is cut off is a network error', async (_, call) => {
  await stage.upstream.script([{ path: '/*', body: { long: 'x'.repeat(50_000) } }]);
  stage.upstream.link.faults.set('limitData', { maxBytes: 20_000 });
  const error = await errorOf(call({ url: `${stage.upstream.url}/a` }));
  expect(classifyError(error)).toBe('network_error');
});

test.each(byClient)('%s: a body shorter than its length is a network error', async (_, call) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.end(
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"a"',
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  try {
    const error = await errorOf(call({ url: `http://127.0.0.1:${port}/` }));
    expect(classifyError(error)).toBe('network_error');
  } finally {
    server.close();
  }
});

test.each(byClient)('%s: a refused connection is a network error', async (_, call) => {
  stage.upstream.link.faults.set('down');
  const error = await errorOf(call({ url: `${stage.upstream.url}/a` }));
  expect(classifyError(error)).toBe('network_error');
});

test.each(byClient)('%s: its own timeout is a network timeout', async (_, call) => {
  stage.upstream.link.faults.set('blackhole');
  const error = await errorOf(call({ url: `${stage.upstream.url}/a`, timeoutMs: TIMEOUT_MS }));
  expect(classifyError(error)).toBe('network_timeout');
});

test.each(byClient)('%s: a call that its caller aborts is aborted', async (_, call) => {
  stage.upstream.link.faults.set('blackhole');
  const controller = new AbortController();
  const failed = errorOf(call({ url: `${stage.upstream.url}/a`, signal: controller.signal }));
  setImmediate(() => controller.abort());
  expect(classifyError(await failed)).toBe('aborted');
});
