import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createGateways } from '../../src/index.ts';
import {
  CONTENT,
  DIGEST,
  A,
  B,
  type Answer,
  body,
  whole,
  cutAfter,
  ranged,
  status,
  refused,
  silent,
  open,
} from './gateway-fixtures.ts';

test.each([
  ['refuses', refused],
  ['answers 503', status(503)],
  ['has not got it', status(404)],
  ['asks to wait', status(429)],
])('the next gateway sends the content when the first one %s', async (_, answer) => {
  const { gateways } = open({ [A]: answer, [B]: whole() });
  const { bytes, gateways: from, isVerified } = await gateways.download('/x');
  expect([Buffer.from(bytes).equals(CONTENT), from, isVerified]).toEqual([true, [B], false]);
});

test('a gateway that is silent is left after the time for a head', async () => {
  const { gateways, clock } = open({ [A]: silent, [B]: whole() });
  const { gateways: from } = await clock.settle(gateways.download('/x'));
  expect(from).toEqual([B]);
  expect(clock.now()).toBe(10_000);
  expect(clock.pendingTimers).toBe(0);
});

test('all gateways failed: the error says why each did', async () => {
  const { gateways } = open({ [A]: refused, [B]: status(500) });
  await expect(gateways.download('/x')).rejects.toMatchObject({
    code: 'NETWORK_GATEWAYS_FAILED',
    message: /http:\/\/a\.test: .*refused.*http:\/\/b\.test.* 500/,
    attempts: [{ target: A }, { target: B, error: { status: 500 } }],
  });
});

test('a gateway that keeps failing is no longer asked, until its circuit tries again', async () => {
  const { gateways, asked, clock } = open({ [A]: status(503), [B]: whole() });
  for (let call = 0; call < 10; call += 1) await gateways.download('/x');
  expect(asked.filter(({ url }) => url.startsWith(A))).toHaveLength(3);
  await clock.advance(30_001);
  await gateways.download('/x');
  expect(asked.filter(({ url }) => url.startsWith(A))).toHaveLength(4);
});

test('a gateway that has not got the content is asked for other content', async () => {
  const { gateways, asked } = open({ [A]: status(404), [B]: whole() });
  for (let call = 0; call < 10; call += 1) await gateways.download('/x');
  expect(asked.filter(({ url }) => url.startsWith(A))).toHaveLength(10);
});

test('content with another digest is not handed over, and the next gateway is asked', async () => {
  const bad = Buffer.from(CONTENT);
  bad[500] = 0;
  const { gateways } = open({ [A]: whole(bad), [B]: whole() });
  const { bytes, gateways: from, isVerified } = await gateways.download('/x', { digest: DIGEST });
  expect([Buffer.from(bytes).equals(CONTENT), from, isVerified]).toEqual([true, [B], true]);
  expect(gateways.getStats().mismatches).toBe(1);
});

test.each([
  ['digits', DIGEST],
  ['base64', `sha256-${Buffer.from(DIGEST, 'hex').toString('base64')}`],
])('content that no gateway has right is refused, with the digest as %s', async (_, digest) => {
  const { gateways } = open({ [A]: whole(Buffer.from('other')), [B]: whole(Buffer.alloc(0)) });
  await expect(gateways.download('/x', { digest })).rejects.toMatchObject({
    code: 'NETWORK_GATEWAYS_FAILED',
    attempts: [
      { error: { code: 'NETWORK_CONTENT_MISMATCH', gateways: [A] } },
      { error: { code: 'NETWORK_CONTENT_MISMATCH', gateways: [B] } },
    ],
  });
});

test('a verifier of the caller decides, also one that answers later or throws', async () => {
  const seen: number[] = [];
  const verify = (answer: () => boolean | Promise<boolean>) => () => ({
    update: (chunk: Uint8Array) => void seen.push(chunk.length),
    matches: answer,
  });
  const { gateways } = open({ [A]: whole() });
  const good = await gateways.download('/x', { verify: verify(async () => true) });
  expect([good.isVerified, seen]).toEqual([true, [1_000]]);
  await expect(gateways.download('/x', { verify: verify(() => false) })).rejects.toThrow(
    /verifier refused/,
  );
  const throws = verify(() => {
    throw new Error('broken');
  });
  await expect(gateways.download('/x', { verify: throws })).rejects.toThrow(
    /verifier threw Error: broken/,
  );
});

test('with a digest the rest is asked of another gateway by Range, and the whole is verified', async () => {
  const { gateways, asked } = open({ [A]: cutAfter(300), [B]: ranged(CONTENT) });
  const { bytes, gateways: from } = await gateways.download('/x', { digest: DIGEST });
  expect([Buffer.from(bytes).equals(CONTENT), from]).toEqual([true, [A, B]]);
  expect(asked[1]?.headers['range']).toBe('bytes=300-');
});

test('parts of two versions are never joined: the digest refuses them, and one gateway sends the whole', async () => {
  const other = Buffer.from(CONTENT.toString().replaceAll('9', 'x'));
  let calls = 0;
  const healing: Answer = (asked) => {
    calls += 1;
    return calls === 1
      ? new Response(body([other.subarray(0, 300)], new Error('reset')))
      : whole()(asked);
  };
  const { gateways } = open({ [A]: healing, [B]: ranged(CONTENT) });
  const { bytes, gateways: from } = await gateways.download('/x', { digest: DIGEST });
  expect([Buffer.from(bytes).equals(CONTENT), from]).toEqual([true, [A]]);
});

test('without a digest the rest is joined only by the same strong ETag', async () => {
  const tagged = { etag: '"v1"' };
  const { gateways, asked } = open({ [A]: cutAfter(300, tagged), [B]: ranged(CONTENT, tagged) });
  const { bytes } = await gateways.download('/x');
  expect(Buffer.from(bytes).equals(CONTENT)).toBe(true);
  expect(asked[1]?.headers).toMatchObject({ range: 'bytes=300-', 'if-range': '"v1"' });
});

test.each([
  ['no ETag', {}],
  ['a weak ETag', { etag: 'W/"v1"' }],
])(
  'with %s no part is asked for: the content is received again from its beginning',
  async (_, headers) => {
    const { gateways, asked } = open({
      [A]: cutAfter(300, headers),
      [B]: ranged(CONTENT, headers),
    });
    const { bytes } = await gateways.download('/x');
    expect(Buffer.from(bytes).equals(CONTENT)).toBe(true);
    expect(asked[1]?.headers['range']).toBeUndefined();
  },
);

test('a part with another ETag, or of another place, is not joined', async () => {
  const misplaced: Answer = ({ headers }) =>
    headers['range'] === undefined
      ? whole()({ url: '', headers, signal: AbortSignal.abort() })
      : new Response(body([CONTENT.subarray(200)]), {
          status: 206,
          headers: { 'content-range': 'bytes 200-999/1000' },
        });
  const other = Buffer.from(CONTENT.toString().replaceAll('0', 'x'));
  const cases: [Answer, Buffer][] = [
    [misplaced, CONTENT],
    [ranged(other, { etag: '"v2"' }), other],
  ];
  for (const [answer, expected] of cases) {
    const { gateways } = open({ [A]: cutAfter(300, { etag: '"v1"' }), [B]: answer });
    const { bytes } = await gateways.download('/x');
    expect(Buffer.from(bytes).equals(expected)).toBe(true);
  }
});

test('another version without a digest is received whole, never mixed', async () => {
  const other = Buffer.from(CONTENT.toString().replaceAll('0', 'x'));
  const { gateways } = open({ [A]: cutAfter(300), [B]: whole(other) });
  const { bytes, gateways: from } = await gateways.download('/x');
  expect([Buffer.from(bytes).equals(other), from]).toEqual([true, [B]]);
});

test('a stream that cannot go on with the same content ends with an error, never with other bytes', async () => {
  const other = Buffer.from(CONTENT.toString().replaceAll('0', 'x'));
  const { gateways } = open({ [A]: cutAfter(300), [B]: whole(other) });
  const received: Uint8Array[] = [];
  const read = async (): Promise<void> => {
    for await (const chunk of gateways.stream('/x')) received.push(chunk);
  };
  await expect(read()).rejects.toMatchObject({
    code: 'NETWORK_CONTENT_MISMATCH',
    gateways: [A, B],
  });
  expect(Buffer.concat(received).equals(CONTENT.subarray(0, 300))).toBe(true);
});

test('a body that ends before its announced length is not the content', async () => {
  const short = whole(CONTENT.subarray(0, 400), { 'content-length': '1000' });
  const { gateways } = open({ [A]: short, [B]: ranged(CONTENT) });
  const { bytes } = await gateways.download('/x');
  expect(Buffer.from(bytes).equals(CONTENT)).toBe(true);
});

test('a body that stalls is continued elsewhere', async () => {
  const stalling: Answer = () => new Response(body([CONTENT.subarray(0, 300)], 'hang'));
  const { gateways, clock } = open({ [A]: stalling, [B]: ranged(CONTENT) });
  const { bytes } = await clock.settle(gateways.download('/x', { digest: DIGEST }));
  expect(Buffer.from(bytes).equals(CONTENT)).toBe(true);
  expect(clock.now()).toBe(10_000);
  expect(clock.pendingTimers).toBe(0);
});

test.each([
  ['announced', { 'content-length': '1000' }],
  ['not announced', {}],
])('content over maxBytes is refused, its size %s', async (_, headers) => {
  const { gateways, asked } = open({ [A]: whole(CONTENT, headers), [B]: whole() });
  await expect(gateways.download('/x', { maxBytes: 999 })).rejects.toMatchObject({
    code: 'NETWORK_CONTENT_TOO_LARGE',
    maxBytes: 999,
  });
  expect(asked).toHaveLength(1);
});

test('the deadline covers all gateways and the body', async () => {
  const dripping: Answer = () => new Response(body([CONTENT.subarray(0, 1)], 'hang'));
  const { gateways, clock } = open({ [A]: silent, [B]: dripping });
  const call = gateways.download('/x', { timeoutMs: 15_000 });
  await expect(clock.settle(call)).rejects.toMatchObject({ code: 'NETWORK_ROUTE_TIMEOUT' });
  expect(clock.now()).toBe(15_000);
  expect(clock.pendingTimers).toBe(0);
});

test('the abort of the caller is the error, at once, and aborts the request', async () => {
  const { gateways, asked } = open({ [A]: silent, [B]: whole() });
  const stopping = new AbortController();
  const call = gateways.download('/x', { signal: stopping.signal });
  stopping.abort(new Error('enough'));
  await expect(call).rejects.toThrow('enough');
  expect(asked.every(({ signal }) => signal.aborted)).toBe(true);
  expect(gateways.getStats().gateways[0]?.circuit.failureCount).toBe(0);
});

test('the fastest gateway sends the content, and the others are aborted', async () => {
  const { gateways, asked, clock } = open(
    { [A]: silent, [B]: whole() },
    { strategy: 'fastest', hedgeAfterMs: 50 },
  );
  const { gateways: from } = await clock.settle(gateways.download('/x'));
  expect([from, clock.now()]).toEqual([[B], 50]);
  expect(asked[0]?.signal.aborted).toBe(true);
  expect(gateways.getStats().gateways.map(({ failures }) => failures)).toEqual([0, 0]);
});

test('a reader of a stream that stops leaves nothing behind', async () => {
  let isCanceled = false;
  const endless: Answer = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(10)),
        cancel: () => void (isCanceled = true),
      }),
    );
  const { gateways, clock } = open({ [A]: endless });
  for await (const chunk of gateways.stream('/x')) {
    expect(chunk).toHaveLength(10);
    break;
  }
  expect([isCanceled, clock.pendingTimers]).toEqual([true, 0]);
});

test('empty content is content', async () => {
  const { gateways } = open({ [A]: whole(Buffer.alloc(0)) });
  const digest = createHash('sha256').digest('hex');
  expect((await gateways.download('/x', { digest })).bytes).toHaveLength(0);
});

test.each<[string, object, string]>([
  ['no gateway', { gateways: [] }, 'gateways'],
  ['a relative URL', { gateways: ['/ipfs'] }, 'gateways[0]'],
  ['another scheme', { gateways: ['ftp://a.test'] }, 'gateways[0]'],
  ['credentials', { gateways: ['http://user:secret@a.test'] }, 'gateways[0]'],
  ['a gateway twice', { gateways: ['http://a.test', 'http://a.test/'] }, 'gateways[1]'],
  ['an unknown strategy', { strategy: 'random' }, 'strategy'],
  ['an unknown option', { stratgy: 'fastest' }, 'stratgy'],
  ['a time as text', { timeoutMs: '5s' }, 'timeoutMs'],
  ['private addresses allowed with a fetch', { allowPrivate: true, fetch }, 'allowPrivate'],
  ['private addresses as a text', { allowPrivate: '10.0.0.0/8' }, 'allowPrivate'],
  ['a resolver that is none', { resolver: {} }, 'resolver'],
  [
    'an unknown rule of the circuit',
    { circuitBreaker: { treshold: 3 } },
    'circuitBreaker.treshold',
  ],
  ['a name of the circuit', { circuitBreaker: { name: 'mine' } }, 'circuitBreaker.name'],
  [
    'a bad rule of the circuit',
    { circuitBreaker: { minimumCalls: 0 } },
    'circuitBreaker.minimumCalls',
  ],
])('bad options are refused by name: %s', (_, options, field) => {
  const create = (): unknown =>
    Reflect.apply(createGateways, undefined, [{ gateways: [A], ...options }]);
  expect(create).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', field }));
  expect(create).not.toThrow(/secret/);
});

test.each([
  ['x', undefined, 'path'],
  ['//evil.test/x', undefined, 'path'],
  [String.raw`/\evil.test`, undefined, 'path'],
  ['/x', { digest: 'sha1-abc' }, 'digest'],
  ['/x', { maxBytes: 0 }, 'maxBytes'],
  ['/x', { digest: DIGEST, verify: () => ({ update: () => {}, matches: () => true }) }, 'verify'],
])('a bad call is refused by name: %s %j', async (path, options, field) => {
  const { gateways, asked } = open({ [A]: whole() });
  await expect(gateways.download(path, options)).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field,
  });
  expect(asked).toHaveLength(0);
});
