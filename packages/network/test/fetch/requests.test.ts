import { afterEach, expect, test } from '@jest/globals';
import { InvalidOptionError, propertyOf } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  FetchFailedError,
  PrivateAddressError,
  type ResilientFetch,
  TlsRefusedError,
  createResilientFetch,
} from '@holdfast/network';

const opened: ResilientFetch[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

const dialer = { dial: () => Promise.reject(new Error('dialed')) };

function client(): ResilientFetch {
  const resilientFetch = createResilientFetch({ dialer, retry: { maxAttempts: 1 } });
  opened.push(resilientFetch);
  return resilientFetch;
}

const LONG = 'a'.repeat(64);

test.each([
  '',
  '/relative',
  'no url',
  'http://',
  'ftp://host/',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'http://a..b/',
  'http://.host/',
  `http://${LONG}.test/`,
  `http://${`${'a'.repeat(60)}.`.repeat(5)}test/`,
  'http://host:0/',
  'http://host:65536/',
  'http://ho st/',
  'http://999.1.1.1/',
  'http://[::zz]/',
  'http://user@host/',
])('the URL %j is refused by name, before anything is sent', async (url) => {
  const call = client()(url);
  await expect(call).rejects.toBeInstanceOf(InvalidOptionError);
  await expect(call).rejects.toMatchObject({ field: 'url', outcome: 'not-applied' });
});

test('an error about a URL shows neither its query nor its credentials', async () => {
  for (const url of [
    'ftp://user:hidden@host/path?token=hidden#hidden',
    'https://user:hidden@host/?token=hidden',
    'http://user:hidden@/x?hidden',
  ]) {
    const error = await client()(url).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain('hidden');
  }
});

test.each([
  ['method', { method: 'GET IT' }],
  ['method', { method: 'CONNECT' }],
  ['method', { method: 'TRACE' }],
  ['headers', { headers: { 'bad name': 'x' } }],
  ['headers', { headers: { name: 'hidden\nvalue' } }],
  ['headers.transfer-encoding', { headers: { 'Transfer-Encoding': 'chunked' } }],
  ['headers.connection', { headers: { connection: 'close' } }],
  ['body', { body: 'with GET' }],
  ['body', { method: 'POST', body: 5 }],
  ['body', { method: 'POST', body: {} }],
  ['redirect', { redirect: 'maybe' }],
  ['signal', { signal: {} }],
  ['timeoutMs', { timeoutMs: 0 }],
  ['timeoutMs', { timeoutMs: 2 ** 31 }],
  ['timeoutMs', { timeoutMs: '5' }],
  ['idempotent', { idempotent: 'yes' }],
  ['integrity', { integrity: 'sha256-abc' }],
  ['dispatcher', { dispatcher: {} }],
  ['timeout', { timeout: 5 }],
])('an invalid %s is refused by name', async (field, init) => {
  const call: Promise<unknown> = Reflect.apply(client(), undefined, ['http://host/', init]);
  await expect(call).rejects.toBeInstanceOf(InvalidOptionError);
  await expect(call).rejects.toMatchObject({ field });
  await expect(call).rejects.not.toThrow('hidden');
});

test.each([
  ['timeoutMs', { timeoutMs: -1 }],
  ['timeoutMs', { timeoutMs: Number.NaN }],
  ['retry.maxAttempts', { retry: { maxAttempts: 0 } }],
  ['retry.initialDelayMs', { retry: { initialDelayMs: 10, maxDelayMs: 5 } }],
  ['retry.attempts', { retry: { attempts: 2 } }],
  ['maxBodyBytes', { maxBodyBytes: Infinity }],
  ['maxRedirects', { maxRedirects: -1 }],
  ['maxConcurrent', { maxConcurrent: 0 }],
  ['circuitBreaker.failureThreshold', { circuitBreaker: { failureThreshold: 0 } }],
  ['circuitBreaker.treshold', { circuitBreaker: { treshold: 5 } }],
  ['circuitBreaker.name', { circuitBreaker: { name: 'mine' } }],
  ['dialer', { dialer: {} }],
  ['resolver', { resolver: {} }],
  ['transport', { transport: 'http' }],
  ['alowH2', { alowH2: true }],
])('the option %s is refused by name at construction', (field, options) => {
  const construct = (): unknown => Reflect.apply(createResilientFetch, undefined, [options]);
  expect(construct).toThrow(InvalidOptionError);
  expect(construct).toThrow(expect.objectContaining({ field }));
});

test('a Request carries method, headers, body and signal, which init overrides', async () => {
  const aborter = new AbortController();
  aborter.abort('enough');
  const request = new Request('http://host/', { signal: aborter.signal });
  await expect(client()(request)).rejects.toBe('enough');
  await expect(client()(request, { signal: null })).rejects.toMatchObject({ where: 'connect' });
});

test.each([
  ['{}', {}],
  ['a count of calls', { minimumCalls: 30 }],
  ['a window of calls', { windowCalls: 10 }],
  ['failures in a row', { failureThreshold: 3 }],
  ['failures in a row and a share', { failureThreshold: 3, failureRateThreshold: 0.9 }],
  ['a shortest opening', { maxOpenDurationMs: 1_000 }],
  ['false', false],
] as const)('a circuit may be changed in part: %s', (_, circuitBreaker) => {
  expect(() => opened.push(createResilientFetch({ dialer, circuitBreaker }))).not.toThrow();
});

test.each([
  ['{}', {}, 20, 5_000],
  ['a count of calls', { minimumCalls: 30 }, 30, 5_000],
  ['failures in a row', { failureThreshold: 3, openDurationMs: 2_000 }, 3, 2_000],
  ['false', false, Infinity, 0],
] as const)(
  'what is left out of a circuit is as by default: %s',
  async (_, circuitBreaker, failures, openMs) => {
    const clock = createFakeClock();
    const retry = { maxAttempts: 1 };
    const fetch = createResilientFetch({ dialer, retry, circuitBreaker, clock });
    opened.push(fetch);
    const codes: unknown[] = [];
    for (let call = 0; call < 40; call += 1) {
      await fetch('http://host.test/').catch((error: unknown) =>
        codes.push(propertyOf(error, 'code')),
      );
    }
    const sent = codes.filter((code) => code === 'NETWORK_FETCH_FAILED');
    expect(sent).toHaveLength(Math.min(40, failures));
    await clock.advance(Math.max(0, openMs - 1));
    await expect(fetch('http://host.test/')).rejects.toMatchObject({
      code: openMs === 0 ? 'NETWORK_FETCH_FAILED' : 'NETWORK_FETCH_REFUSED',
    });
    await clock.advance(1);
    await expect(fetch('http://host.test/')).rejects.toMatchObject({
      code: 'NETWORK_FETCH_FAILED',
    });
  },
);

test('an unknown field of a circuit is answered with those that may be given', () => {
  const create = (): unknown =>
    createResilientFetch({ circuitBreaker: JSON.parse('{"treshold":1}') });
  expect(create).toThrow(/one of the known options \(failureThreshold, (?!.*classifyResult)/);
});

test.each([
  [new TlsRefusedError({ kind: 'expired', hostname: 'host.test' }), /expired/],
  [new TlsRefusedError({ kind: 'wrongHost', hostname: 'host.test' }), /wrongHost/],
  [new PrivateAddressError('host.test', '10.0.0.1', 'private'), /allowPrivate/],
])(
  'a server that is refused is the cause of the error, whose message says why: %s',
  async (refusal, said) => {
    const refusing = { dial: () => Promise.reject(refusal) };
    const fetch = createResilientFetch({ dialer: refusing });
    opened.push(fetch);
    const error = await fetch('https://host.test/').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FetchFailedError);
    expect(error).toMatchObject({ cause: refusal, message: said, retryable: false });
  },
);
