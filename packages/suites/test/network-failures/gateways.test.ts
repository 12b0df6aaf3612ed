import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import {
  type Gateways,
  type GatewaysOptions,
  createGateways,
  createResilientFetch,
} from '@holdfast/network';

const CONTENT = Buffer.alloc(400_000, 'the same content at each gateway; ');
const DIGEST = createHash('sha256').update(CONTENT).digest('hex');
const servers: Server[] = [];
const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
});

/** With its own fetch, which may reach the servers here. */
function open(options: GatewaysOptions): Gateways {
  const gateways = createGateways({ allowPrivate: true, ...options });
  opened.push(gateways);
  return gateways;
}

type Handler = (incoming: IncomingMessage, outgoing: ServerResponse) => unknown;

async function listen(handler: Handler): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  return `http://127.0.0.1:${address.port}`;
}

/** Sends the content or, by Range, the rest of it. */
const whole: Handler = (incoming, outgoing) => {
  const match = /^bytes=(\d+)-$/.exec(incoming.headers.range ?? '');
  const from = match === null ? 0 : Number(match[1]);
  const range = `bytes ${from}-${CONTENT.length - 1}/${CONTENT.length}`;
  outgoing.writeHead(match === null ? 200 : 206, {
    'content-length': CONTENT.length - from,
    ...(match !== null && { 'content-range': range }),
  });
  outgoing.end(CONTENT.subarray(from));
};
const cut: Handler = (_, outgoing) => {
  outgoing.writeHead(200, { 'content-length': CONTENT.length });
  outgoing.write(CONTENT.subarray(0, 150_000), () => setImmediate(() => outgoing.destroy()));
};
const stalled: Handler = (_, outgoing) => {
  outgoing.writeHead(200, { 'content-length': CONTENT.length });
  outgoing.write(CONTENT.subarray(0, 150_000));
};
const wrong: Handler = (_, outgoing) => outgoing.end(Buffer.alloc(CONTENT.length, 'other content'));
const silent: Handler = () => {};
/** Half of a gzip, in whole framing. */
const cutInside: Handler = (_, outgoing) => {
  const encoded = gzipSync(CONTENT);
  outgoing.writeHead(200, { 'content-encoding': 'gzip' });
  outgoing.end(encoded.subarray(0, Math.floor(encoded.length / 2)));
};
const refusing: Handler = (_, outgoing) => outgoing.writeHead(503).end();
const reset: Handler = (incoming) => incoming.socket.resetAndDestroy();

test.each<[string, Handler]>([
  ['answers 503', refusing],
  ['resets', reset],
  ['is silent', silent],
  ['cuts its body', cut],
  ['stalls within its body', stalled],
  ['sends other content', wrong],
  ['cuts its content inside of its encoding', cutInside],
])('gateway failover is automatic: one that %s is replaced by the next', async (_, handler) => {
  const gateways = open({
    gateways: [await listen(handler), await listen(whole)],
    headTimeoutMs: 500,
    stallTimeoutMs: 500,
  });
  const { bytes, isVerified } = await gateways.download('/ipfs/x', { digest: DIGEST });
  expect([Buffer.from(bytes).equals(CONTENT), isVerified]).toEqual([true, true]);
});

test('a circuit breaker per gateway: alternatives are tried when one fails, the others go on', async () => {
  let asked = 0;
  const counting: Handler = (incoming, outgoing) => {
    asked += 1;
    refusing(incoming, outgoing);
  };
  const gateways = open({ gateways: [await listen(counting), await listen(whole)] });
  for (let call = 0; call < 6; call += 1) await gateways.download('/ipfs/x', { digest: DIGEST });
  expect(asked).toBe(3);
  expect(gateways.getStats().gateways.map(({ circuit }) => circuit.state)).toEqual([
    'open',
    'closed',
  ]);
});

test('when all gateways failed the error says so, and why each did', async () => {
  const urls = [await listen(refusing), await listen(reset)];
  const gateways = open({ gateways: urls });
  await expect(gateways.download('/ipfs/x')).rejects.toMatchObject({
    code: 'NETWORK_GATEWAYS_FAILED',
    attempts: urls.map((target) => ({ target })),
  });
});

test('the fastest gateway wins, and the request to the silent one is closed', async () => {
  let closed: Promise<unknown> | undefined;
  const watched: Handler = (_, outgoing) => {
    closed = once(outgoing, 'close');
  };
  const gateways = open({
    gateways: [await listen(watched), await listen(whole)],
    strategy: 'fastest',
    hedgeAfterMs: 50,
  });
  const { bytes } = await gateways.download('/ipfs/x', { digest: DIGEST });
  expect(Buffer.from(bytes).equals(CONTENT)).toBe(true);
  expect(closed).toBeDefined();
  await closed;
});

test('a private address is refused by default, as a gateway and behind a redirect', async () => {
  let asked = 0;
  const hidden = await listen((_, outgoing) => {
    asked += 1;
    outgoing.end(CONTENT);
  });
  const refused = createGateways({ gateways: [hidden] });
  opened.push(refused);
  const privateAddress = { error: { cause: { code: 'NETWORK_PRIVATE_ADDRESS' } } };
  await expect(refused.download('/ipfs/x')).rejects.toMatchObject({ attempts: [privateAddress] });
  const location = hidden.replace('127.0.0.1', '127.0.0.2');
  const redirecting = await listen((_, outgoing) => outgoing.writeHead(302, { location }).end());
  const partly = open({ gateways: [redirecting], allowPrivate: ['127.0.0.1'] });
  await expect(partly.download('/ipfs/x')).rejects.toMatchObject({ attempts: [privateAddress] });
  expect(asked).toBe(0);
});

test('content that inflates beyond the bound is stopped there', async () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  const url = await listen((_, outgoing) => {
    outgoing.writeHead(200, { 'content-encoding': 'gzip', 'content-length': bomb.length });
    outgoing.end(bomb);
  });
  const gateways = open({ gateways: [url], maxBytes: 1_000_000 });
  let received = 0;
  const read = async (): Promise<void> => {
    for await (const chunk of gateways.stream('/ipfs/x')) received += chunk.length;
  };
  await expect(read()).rejects.toMatchObject({ code: 'NETWORK_CONTENT_TOO_LARGE' });
  expect(received).toBeLessThanOrEqual(1_000_000);
});

test('the deadline lasts to the last byte, though bytes keep coming', async () => {
  const timers: NodeJS.Timeout[] = [];
  const url = await listen((_, outgoing) => {
    outgoing.writeHead(200, { 'content-length': CONTENT.length });
    timers.push(setInterval(() => outgoing.write('.'), 20));
  });
  const gateways = open({ gateways: [url], timeoutMs: 300 });
  await expect(gateways.download('/ipfs/x')).rejects.toMatchObject({
    code: 'NETWORK_ROUTE_TIMEOUT',
  });
  for (const timer of timers) clearInterval(timer);
});

test.each(['a resilient fetch', 'the fetch of the platform'])(
  '%s is taken as it is',
  async (kind) => {
    const client = createResilientFetch({ allowPrivate: true });
    opened.push(client);
    const fetch = kind === 'a resilient fetch' ? client : globalThis.fetch;
    const gateways = createGateways({
      gateways: [await listen(cut), await listen(whole)],
      fetch,
    });
    const { bytes } = await gateways.download('/ipfs/x', { digest: DIGEST, timeoutMs: 9_999.5 });
    expect(Buffer.from(bytes).equals(CONTENT)).toBe(true);
    expect(client.getStats().calls).toBe(kind === 'a resilient fetch' ? 2 : 0);
  },
);
