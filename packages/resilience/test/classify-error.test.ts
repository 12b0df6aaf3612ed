import { createServer } from 'node:net';
import { once } from 'node:events';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { HoldfastError, parseRetryAfter, retryAfterMsOf } from '@holdfast/foundation';
import {
  BulkheadFullError,
  CircuitOpenError,
  RateLimitedError,
  RetryExhaustedError,
  StackClosedError,
  TimeoutError,
  classifyError,
  isRefusal,
} from '@holdfast/resilience';

class OwnError extends HoldfastError {
  readonly code = 'OWN';
}

const coded = (code: string): Error => Object.assign(new Error('text that says nothing'), { code });
const withStatus = (status: number): Error => Object.assign(new Error('http'), { status });
const fetchFailed = (cause: unknown): TypeError => new TypeError('fetch failed', { cause });

const aws = (name: string): object => ({
  name,
  $fault: 'client',
  $metadata: { httpStatusCode: 400 },
});
/** An object of which no property can be read. */
const throwing = (): object =>
  new Proxy(new Error('odd'), {
    get: () => {
      throw new Error('unreadable');
    },
  });

test.each([
  [coded('ECONNREFUSED'), 'network_error'],
  [coded('ECONNRESET'), 'network_error'],
  [coded('EAI_AGAIN'), 'network_error'],
  [coded('ENOTFOUND'), 'network_error'],
  [coded('ETIMEDOUT'), 'network_timeout'],
  [coded('UND_ERR_HEADERS_TIMEOUT'), 'network_timeout'],
  [fetchFailed(coded('UND_ERR_CONNECT_TIMEOUT')), 'network_timeout'],
  [fetchFailed(coded('UND_ERR_SOCKET')), 'network_error'],
  [fetchFailed(new AggregateError([coded('EHOSTUNREACH'), coded('ETIMEDOUT')])), 'network_error'],
  [fetchFailed(coded('CERT_HAS_EXPIRED')), 'certificate_error'],
  [coded('EMFILE'), 'resource_exhausted'],
  [new DOMException('late', 'TimeoutError'), 'network_timeout'],
  [new DOMException('left', 'AbortError'), 'aborted'],
  [withStatus(408), 'network_timeout'],
  [withStatus(429), 'rate_limited'],
  [withStatus(500), 'server_error'],
  [withStatus(501), 'client_error'],
  [withStatus(503), 'service_unavailable'],
  [withStatus(504), 'gateway_timeout'],
  [withStatus(404), 'client_error'],
  [Object.assign(new Error('axios'), { response: { status: 502 } }), 'server_error'],
  [Object.assign(new Error('aws'), { $metadata: { httpStatusCode: 503 } }), 'service_unavailable'],
  [Object.assign(new Error('got'), { response: { statusCode: 404 } }), 'client_error'],
  [Object.assign(new Error('aws'), aws('ThrottlingException')), 'rate_limited'],
  [Object.assign(new Error('aws 2'), { code: 'Throttling', statusCode: 400 }), 'rate_limited'],
  // Only an error of AWS is judged by the names of AWS.
  [Object.assign(new Error('own'), { name: 'SlowDown', status: 400 }), 'client_error'],
  [Object.assign(new Error('pg'), { code: '23505', severity: 'ERROR' }), 'client_error'],
  [Object.assign(new Error('pg'), { code: '40001', severity: 'ERROR' }), 'conflict'],
  // Five capital letters alone are no SQLSTATE.
  [coded('EPIPE'), 'network_error'],
  [coded('23505'), 'unknown'],
  [Object.assign(new Error('mysql'), { code: 'ER_DUP_ENTRY', sqlState: '23000' }), 'client_error'],
  [Object.assign(new Error('mysql'), { sqlState: 'HY000' }), 'unknown'],
  [Object.assign(new Error('grpc'), { code: 1, details: 'cancelled' }), 'aborted'],
  [Object.assign(new Error('grpc'), { code: 16, details: '' }), 'client_error'],
  // Without gRPC's `details`, a small number may be anything.
  [Object.assign(new Error('own'), { code: 14 }), 'unknown'],
  // What a body that is cut short is called: by got, by Node's streams, by undici.
  [coded('ERR_HTTP_CONTENT_LENGTH_MISMATCH'), 'network_error'],
  [coded('ERR_STREAM_PREMATURE_CLOSE'), 'network_error'],
  [coded('UND_ERR_RES_CONTENT_LENGTH_MISMATCH'), 'network_error'],
  [coded('UND_ERR_PRX_CONN'), 'network_error'],
  [coded('UND_ERR_ABORT'), 'aborted'],
  [coded('UND_ERR_REDIRECT_MAX'), 'client_error'],
  [coded('ERR_CANCELED'), 'aborted'],
  [coded('ERR_NETWORK'), 'network_error'],
  [coded('HPE_INVALID_CONSTANT'), 'network_error'],
  [Object.assign(new Error('sdk'), { status: undefined, cause: coded('EPIPE') }), 'network_error'],
  [new (class APIUserAbortError extends Error {})('Request was aborted.'), 'aborted'],
  [new (class APIConnectionTimeoutError extends Error {})('late'), 'network_timeout'],
  [Object.assign(new Error('supabase'), { status: 400, statusCode: '404' }), 'client_error'],
  [Object.assign(new Error('supabase'), { status: 400, statusCode: '544' }), 'server_error'],
  [{ code: '23505', message: 'm', details: null, hint: null }, 'client_error'],
  [Object.assign(new Error('own'), { context: { status: 'pending', code: 'EPIPE' } }), 'unknown'],
  [new TypeError('x is not a function'), 'programming_error'],
  [new TypeError('Invalid URL', { cause: coded('ERR_INVALID_URL') }), 'programming_error'],
  [new Error('ETIMEDOUT'), 'unknown'],
  ['a string', 'unknown'],
  [undefined, 'unknown'],
  [new TimeoutError('t', 5), 'network_timeout'],
  [new RetryExhaustedError('r', [], 'attempts'), 'exhausted'],
  [new BulkheadFullError('b', 'full'), 'refused'],
  [new RateLimitedError('l', 'empty', 5), 'refused'],
  [new OwnError('busy', { retryable: true }), 'transient'],
  [new OwnError('busy', { retryable: true, cause: withStatus(503) }), 'service_unavailable'],
  [new OwnError('twice?', { retryable: false, cause: withStatus(503) }), 'permanent'],
  [new OwnError('gone', { retryable: false, cause: withStatus(404) }), 'client_error'],
  [new OwnError('lost', { outcome: 'unknown' }), 'outcome_unknown'],
  [new OwnError('lost', { outcome: 'unknown', cause: coded('ECONNRESET') }), 'outcome_unknown'],
  [new OwnError('late', { outcome: 'unknown', cause: coded('57014') }), 'outcome_unknown'],
  [new OwnError('exists', { outcome: 'unknown', cause: withStatus(409) }), 'client_error'],
  [new OwnError('lost', { outcome: 'unknown', retryable: true }), 'transient'],
  [
    new OwnError('lost', { outcome: 'unknown', retryable: true, cause: coded('EPIPE') }),
    'network_error',
  ],
  [new OwnError('unsent', { outcome: 'not-applied' }), 'permanent'],
  [new OwnError('done', { outcome: 'applied' }), 'permanent'],
  [new StackClosedError('portal'), 'refused'],
])('%p is of the kind %s', (error, kind) => {
  expect(classifyError(error)).toBe(kind);
});

test('an error of another realm is classified like one of this', () => {
  const foreign: unknown = runInNewContext(`Object.assign(new Error('x'), { code: 'ECONNRESET' })`);
  expect(foreign instanceof Error).toBe(false);
  expect(classifyError(foreign)).toBe('network_error');
  expect(classifyError(runInNewContext(`new TypeError('x')`))).toBe('programming_error');
});

test('an error that cannot be read is unknown', () => {
  expect(classifyError(throwing())).toBe('unknown');
});

test('a circular chain of causes ends', () => {
  const error = new Error('loop');
  error.cause = error;
  expect(classifyError(error)).toBe('unknown');
});

test('the errors that fetch throws for a refused connection and an early end are network errors', async () => {
  const server = createServer((socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const attempt = (): Promise<unknown> =>
    fetch(`http://127.0.0.1:${port}/`).then(
      () => 'answered',
      (error: unknown) => classifyError(error),
    );
  try {
    expect(await attempt()).toBe('network_error');
  } finally {
    server.close();
    await once(server, 'close');
  }
  expect(await attempt()).toBe('network_error');
});

test('only the policies’ own errors are refusals, whatever a foreign error’s code says', () => {
  const open = new CircuitOpenError({
    name: 'c',
    key: undefined,
    state: 'open',
    retryAfterMs: 1,
    cause: undefined,
  });
  expect(isRefusal(open)).toBe(true);
  expect(isRefusal(coded('RESILIENCE_CIRCUIT_OPEN'))).toBe(false);
  expect(isRefusal(new OwnError('own'))).toBe(false);
});

const now = Date.UTC(2026, 0, 1);

test.each([
  ['120', 120_000],
  [' 0 ', 0],
  ['1.5', 1_500],
  [new Date(now + 30_000).toUTCString(), 30_000],
  [new Date(now - 30_000).toUTCString(), 0],
  ['-5', undefined],
  ['soon', undefined],
  ['', undefined],
])('Retry-After %j means %s ms', (header, expected) => {
  expect(parseRetryAfter(header, now)).toBe(expected);
});

test('Retry-After is found wherever clients put it', () => {
  const headers = { 'retry-after': '7' };
  for (const error of [
    { retryAfterMs: 7_000 },
    { headers },
    { headers: new Headers(headers) },
    { response: { headers } },
    { response: { headers: { 'Retry-After': 7 } } },
    { headers: { 'retry-after': ['7', '9'] } },
    { headers: { 'RETRY-AFTER': '7' } },
    { headers: { 'retry-after-ms': '7000', 'retry-after': '9' } },
    { headers: { 'x-ms-retry-after-ms': '7000' } },
    { $response: { headers } },
    { metadata: { get: (name: string) => (name === 'retry-after' ? ['7'] : []) } },
    { cause: { response: { headers } } },
    { cause: { cause: { retryAfterMs: 7_000 } } },
    { originalError: { headers } },
    { errors: [{ headers }] },
    { context: new Response(null, { status: 429, headers }) },
    { headers: { 'retry-after-ms': 'soon' }, response: { headers } },
  ]) {
    expect(retryAfterMsOf(error, now)).toBe(7_000);
  }
  const unreadable = {
    get: () => {
      throw new Error('unreadable');
    },
  };
  expect(retryAfterMsOf({ headers: unreadable }, now)).toBeUndefined();
  expect(retryAfterMsOf(throwing(), now)).toBeUndefined();
  expect(retryAfterMsOf(new Error('none'), now)).toBeUndefined();
  expect(retryAfterMsOf(null, now)).toBeUndefined();
});
