import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import {
  type ResilientFetch,
  type ResilientFetchOptions,
  createResilientFetch,
  resilientFetch as sharedFetch,
} from '@holdfast/network';
import { openRawServer, whole } from '../../../src/fetch/raw-server.ts';
import { type NameServersFixture, a, openNameServers } from '../../../src/network/name-servers.ts';
import { waitUntil } from '../../../src/wait-until.ts';

let servers: NameServersFixture;
beforeAll(async () => {
  servers = await openNameServers();
});
afterAll(() => servers.close());

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

function client(options: ResilientFetchOptions): ResilientFetch {
  const resilientFetch = createResilientFetch({ retry: { maxAttempts: 1 }, ...options });
  opened.push(resilientFetch);
  return resilientFetch;
}

/** What the error behind the error says. */
async function causeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: { cause?: { code?: unknown } }) => error.cause?.code,
  );
}

test('private addresses are refused by default: literal, by name, and behind a redirect', async () => {
  const server = await openRawServer((socket, { path }) => {
    const location = new URL(path, 'http://any').searchParams.get('to');
    socket.write(location === null ? whole('answer') : whole('', { location }, '302 Elsewhere'));
  });
  opened.push(server);
  await servers.serve(a('private.test', '127.0.0.1', 60), a('allowed.test', '127.0.0.3', 60));
  const resolver = servers.resolver();
  for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::ffff:7f00:1]', '0.0.0.0']) {
    const call = sharedFetch(`http://${host}:${server.port}/`, { timeoutMs: 5_000 });
    expect(await causeOf(call)).toBe('NETWORK_PRIVATE_ADDRESS');
  }
  const named = client({ resolver })(`http://private.test:${server.port}/`);
  expect(await causeOf(named)).toBe('NETWORK_PRIVATE_ADDRESS');
  expect(server.accepted).toBe(0);
  const open = await openRawServer((socket) => {
    const location = `http://private.test:${server.port}/`;
    socket.write(whole('', { location }, '302 Elsewhere'));
  }, '127.0.0.3');
  opened.push(open);
  const redirected = client({ resolver, allowPrivate: ['127.0.0.3'] });
  const call = redirected(`http://allowed.test:${open.port}/`);
  expect(await causeOf(call)).toBe('NETWORK_PRIVATE_ADDRESS');
  expect(server.accepted).toBe(0);
});

test('when the record of a name moves, kept connections follow within its TTL and a second, and no call fails', async () => {
  const first = await openRawServer((socket) => socket.write(whole('127.0.0.1')), '127.0.0.1');
  const second = await openRawServer(
    (socket) => socket.write(whole('127.0.0.2')),
    '127.0.0.2',
    first.port,
  );
  opened.push(first, second);
  await servers.serve(a('moving.test', '127.0.0.1', 1));
  const resilientFetch = client({ resolver: servers.resolver(), allowPrivate: true });
  const url = `http://moving.test:${first.port}/`;
  const ask = async (): Promise<string> => (await resilientFetch(url)).text();
  expect(await ask()).toBe('127.0.0.1');
  await servers.serve(a('moving.test', '127.0.0.2', 1));
  const movedMs = systemClock.now();
  // Under steady traffic, which is what keeps a connection for ever elsewhere. Each call has to succeed.
  await waitUntil(async () => (await ask()) === '127.0.0.2');
  // TTL and one second, and as much again for a busy machine.
  expect(systemClock.now() - movedMs).toBeLessThan(4_000);
  await waitUntil(() => first.open.size === 0);
  expect(resilientFetch.getStats()).toMatchObject({ failed: 0 });
});
