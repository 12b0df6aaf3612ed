import { getEventListeners, once } from 'node:events';
import { request } from 'node:http';
import { type Server, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createCertificateAuthority, tlsServerOptions } from '@holdfast/faults';
import { systemClock } from '@holdfast/foundation';
import {
  type AddressSet,
  type DialedConnection,
  type DialerOptions,
  type IpAddress,
  type ManagedDialer,
  createDialer,
} from '@holdfast/network';
import { type Stage, openStage } from '@holdfast/stage';
import { openBlackHole } from '../../../src/network/black-hole.ts';
import { a, openNameServers } from '../../../src/network/name-servers.ts';
import { openTlsServer } from '../../../src/network/tls-server.ts';
import { waitUntil } from '../../../src/wait-until.ts';

let stage: Stage<{ upstream: true; tls: true }>;
const closers: (() => unknown)[] = [];
beforeAll(async () => {
  stage = await openStage({ mode: 'local', upstream: true, tls: true });
});
afterAll(() => stage.close());
beforeEach(() => stage.network.heal());
afterEach(() => Promise.all(closers.splice(0).map((close) => close())));

/** A resolver with one answer, and what it was told. */
function resolverOf(...addresses: readonly string[]): NonNullable<DialerOptions['resolver']> & {
  readonly reports: string[];
} {
  const reports: string[] = [];
  const set = addresses.map((address): IpAddress => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }));
  return {
    reports,
    resolve: (hostname): Promise<AddressSet> =>
      Promise.resolve({ hostname, addresses: set, validUntilMs: Infinity, revision: 7 }),
    report: (address, result) => void reports.push(`${address} ${result}`),
  };
}

function dialerWith(options: DialerOptions = {}): ManagedDialer {
  const dialer = createDialer({ allowPrivate: true, ...options });
  closers.push(() => dialer.close());
  return dialer;
}

async function listen(host: string, port = 0): Promise<Server & { port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
  });
  server.listen(port, host);
  await once(server, 'listening');
  closers.push(() => server.close());
  const bound = server.address();
  return Object.assign(server, { port: typeof bound === 'object' ? (bound?.port ?? 0) : 0 });
}

/** The connection, and how long it took. */
async function timed(
  dialer: ManagedDialer,
  port: number,
): Promise<DialedConnection & { tookMs: number }> {
  const startMs = systemClock.now();
  const connection = await dialer.dial({ hostname: 'a.test', port, secure: false });
  connection.socket.destroy();
  return { ...connection, tookMs: systemClock.now() - startMs };
}

test('a black hole among the addresses delays one connect, and none of those that follow', async () => {
  const { port } = await listen('127.0.0.1');
  const hole = await openBlackHole('127.0.0.2', port);
  closers.push(() => hole.close());
  const resolver = resolverOf('127.0.0.2', '127.0.0.1');
  const dialer = dialerWith({ resolver });
  const first = await timed(dialer, port);
  expect(first).toMatchObject({ address: { address: '127.0.0.1' }, revision: 7 });
  expect(first.tookMs).toBeGreaterThanOrEqual(249);
  expect(resolver.reports).toEqual(['127.0.0.2 failed', '127.0.0.1 reached']);
  const before = dialer.getStats().attempts;
  for (let index = 0; index < 20; index += 1) await timed(dialer, port);
  // Nothing else was tried.
  expect(dialer.getStats().attempts - before).toBe(20);
});

test('the resolver learns what the dialer has found out, and every user of it dials what answers', async () => {
  const servers = await openNameServers();
  closers.push(() => servers.close());
  await servers.serve(a('db.test', '127.0.0.2', 60), a('db.test', '127.0.0.1', 60));
  const { port } = await listen('127.0.0.1');
  const hole = await openBlackHole('127.0.0.2', port);
  closers.push(() => hole.close());
  const resolver = servers.resolver();
  const target = { hostname: 'DB.test.', port, secure: false };
  const warnings: unknown[] = [];
  const onWarning = (warning: unknown): void => void warnings.push(warning);
  process.on('warning', onWarning);
  closers.push(() => process.off('warning', onWarning));
  // The addresses are spread: within two dials the silent one has been the first.
  for (let index = 0; index < 2; index += 1) {
    const { socket } = await dialerWith({ resolver, family: 4 }).dial(target);
    socket.destroy();
  }
  const dialer = dialerWith({ resolver, family: 4 });
  for (let index = 0; index < 6; index += 1) {
    const { socket, address } = await dialer.dial(target);
    socket.destroy();
    expect(address.address).toBe('127.0.0.1');
  }
  expect(dialer.getStats().attempts).toBe(6);
  expect(warnings).toEqual([]);
});

test('one address that refuses costs nothing: the next one is tried at once', async () => {
  const { port } = await listen('127.0.0.1');
  const resolver = resolverOf('127.0.0.3', '127.0.0.4', '127.0.0.1');
  const { address } = await timed(dialerWith({ resolver, attemptDelayMs: 60_000 }), port);
  expect(address).toEqual({ address: '127.0.0.1', family: 4 });
});

test('both families are tried: one without a server does not matter', async () => {
  const { port } = await listen('127.0.0.1');
  const resolver = resolverOf('::1', '127.0.0.1');
  expect((await timed(dialerWith({ resolver }), port)).address.family).toBe(4);
  const only = dialerWith({ resolver, family: 6 }).dial({
    hostname: 'a.test',
    port,
    secure: false,
  });
  await expect(only).rejects.toMatchObject({
    code: 'NETWORK_DIAL_FAILED',
    attempts: [{ address: { family: 6 } }],
  });
});

test('when every address is silent, the deadline is kept and says what was awaited', async () => {
  const hole = await openBlackHole('127.0.0.2');
  closers.push(() => hole.close());
  const dialer = dialerWith({ resolver: resolverOf('127.0.0.2') });
  const startMs = systemClock.now();
  const dialing = dialer.dial(
    { hostname: 'a.test', port: hole.port, secure: true },
    { timeoutMs: 400 },
  );
  await expect(dialing).rejects.toMatchObject({
    code: 'NETWORK_DIAL_TIMEOUT',
    phase: 'connect',
    retryable: true,
  });
  expect(systemClock.now() - startMs).toBeLessThan(2_000);
});

test('a name that is not answered counts against the same deadline', async () => {
  const resolver = { resolve: () => new Promise<AddressSet>(() => {}) };
  const dialing = dialerWith({ resolver, timeoutMs: 200 }).dial({
    hostname: 'a.test',
    port: 1,
    secure: false,
  });
  await expect(dialing).rejects.toMatchObject({ code: 'NETWORK_DIAL_TIMEOUT', phase: 'name' });
});

test('a server that accepts and is silent does not keep the dial from the next address', async () => {
  const authority = createCertificateAuthority();
  const good = await openTlsServer(authority.issue({ hostnames: ['a.test'] }));
  closers.push(() => good.close());
  await listen('127.0.0.2', good.port);
  const resolver = resolverOf('127.0.0.2', '127.0.0.1');
  const tls = { ca: authority.certificate };
  const dialer = dialerWith({ resolver, attemptDelayMs: 50, tls });
  const { address, socket } = await dialer.dial({
    hostname: 'a.test',
    port: good.port,
    secure: true,
  });
  closers.push(() => socket.destroy());
  expect(address.address).toBe('127.0.0.1');
});

test('with the policy alternate a refused server gives way to the next address of the name', async () => {
  const authority = createCertificateAuthority();
  const good = await openTlsServer(authority.issue({ hostnames: ['a.test'] }));
  const expired = tlsServerOptions(authority, { hostnames: ['a.test'], fault: 'expired' });
  const bad = await openTlsServer(expired, '127.0.0.2', good.port);
  closers.push(
    () => good.close(),
    () => bad.close(),
  );
  const target = { hostname: 'a.test', port: good.port, secure: true };
  const resolver = resolverOf('127.0.0.2', '127.0.0.1');
  const tls = { ca: authority.certificate };
  const strict = dialerWith({ resolver, tls });
  await expect(strict.dial(target)).rejects.toMatchObject({ kind: 'expired' });
  expect(resolver.reports).toEqual([]);
  const lenient = dialerWith({ resolver, tls: { ...tls, onRefused: 'alternate' } });
  const { address, socket } = await lenient.dial(target);
  closers.push(() => socket.destroy());
  expect(address.address).toBe('127.0.0.1');
  expect(resolver.reports).toEqual(['127.0.0.2 failed', '127.0.0.1 reached']);
});

test('Network Resilience DNS failures handles network partition', async () => {
  const { upstream, tls } = stage;
  const dialer = dialerWith({ family: 4, tls: { ca: tls.ca } });
  const ask = async (timeout: number): Promise<string> => {
    const target = { hostname: 'localhost', port: upstream.port, secure: false };
    const signal = AbortSignal.timeout(timeout);
    const { socket } = await dialer.dial(target, { signal });
    closers.push(() => socket.destroy());
    const sent = request({ host: 'localhost', signal, createConnection: () => socket });
    sent.end();
    const [response] = await once(sent, 'response');
    return text(response);
  };
  const handshake = async (timeoutMs: number): Promise<boolean> => {
    const target = { hostname: 'localhost', port: tls.port, secure: true };
    const { socket } = await dialer.dial(target, { timeoutMs });
    socket.destroy();
    return true;
  };
  await ask(10_000);
  await Promise.all([stage.network.cut(upstream), stage.network.cut(tls)]);
  // Reading and connecting end at their deadlines.
  const startMs = systemClock.now();
  await expect(ask(100)).rejects.toMatchObject({ cause: { name: 'TimeoutError' } });
  await expect(handshake(100)).rejects.toMatchObject({ code: 'NETWORK_DIAL_TIMEOUT' });
  expect(systemClock.now() - startMs).toBeLessThan(2_000);
  // And the same dialer connects again when it has healed.
  await stage.network.heal();
  await ask(10_000);
  expect(await handshake(10_000)).toBe(true);
});

test('200 aborted dials leave no socket and no listener', async () => {
  const { tls } = stage;
  await stage.network.cut(tls);
  const sockets = new Set<unknown>();
  const server = await listen('127.0.0.1');
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const dialer = dialerWith({ family: 4 });
  const controller = new AbortController();
  const reason = new Error('enough');
  const dials = Array.from({ length: 200 }, () =>
    dialer.dial(
      { hostname: '127.0.0.1', port: server.port, secure: true },
      { signal: controller.signal },
    ),
  );
  const ends = Promise.allSettled(dials);
  await waitUntil(() => sockets.size === 200);
  controller.abort(reason);
  expect(await ends).toEqual(dials.map(() => ({ status: 'rejected', reason })));
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  await waitUntil(() => sockets.size === 0);
});

test('a closed dialer fails the dials in progress, and refuses new ones', async () => {
  const server = await listen('127.0.0.1');
  const dialer = dialerWith();
  const target = { hostname: '127.0.0.1', port: server.port, secure: true };
  const dialing = dialer.dial(target);
  const ends = Promise.allSettled([dialing]);
  await dialer.close();
  await dialer.close();
  expect(await ends).toMatchObject([{ reason: { code: 'NETWORK_CLOSED' } }]);
  await expect(dialer.dial(target)).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
});
