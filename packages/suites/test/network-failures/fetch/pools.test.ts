import { afterEach, expect, test } from '@jest/globals';
import type { AddressesChanged } from '@holdfast/network';
import {
  type AddressChangeSource,
  type ResilientFetchOptions,
  createResilientFetch,
} from '@holdfast/network';
import { environment, systemClock } from '@holdfast/foundation';
import { openRawServer, whole } from '../../../src/fetch/raw-server.ts';
import { TestDialer } from '../../../src/fetch/test-dialer.ts';
import { waitUntil } from '../../../src/wait-until.ts';

/** Changes of addresses under load; `HOLDFAST_RUNS=1000` for the full count. */
const CHANGES = Number(environment['HOLDFAST_RUNS'] ?? 20);
const CALLS_PER_SECOND = 500;

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

/** A name that moves between addresses of this machine, and tells it as a resolver does. */
class MovingName implements AddressChangeSource {
  readonly dialer = new TestDialer();
  readonly #listeners = new Set<(event: AddressesChanged) => unknown>();
  readonly #hostname: string;
  address: string;

  constructor(hostname: string, address: string) {
    this.#hostname = hostname;
    this.address = address;
    this.dialer.addresses.set(hostname, address);
  }

  on(_kind: 'changed', listener: (event: AddressesChanged) => unknown): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  moveTo(address: string): void {
    const removed = [{ address: this.address, family: 4 as const }];
    this.address = address;
    this.dialer.addresses.set(this.#hostname, address);
    this.dialer.revision += 1;
    const { revision } = this.dialer;
    const event = {
      hostname: this.#hostname,
      added: [{ address, family: 4 as const }],
      removed,
      revision,
    };
    for (const listener of this.#listeners) listener(event);
  }
}

/** Two servers with one port on two addresses, which say their address. */
async function openTwoHosts() {
  const first = await openRawServer((socket) => socket.write(whole('127.0.0.1')), '127.0.0.1');
  const second = await openRawServer(
    (socket) => socket.write(whole('127.0.0.2')),
    '127.0.0.2',
    first.port,
  );
  opened.push(first, second);
  const name = new MovingName('moving.test', '127.0.0.1');
  return { name, first, second, url: `http://moving.test:${first.port}/` };
}

function client(options: ResilientFetchOptions) {
  const resilientFetch = createResilientFetch(options);
  opened.push(resilientFetch);
  return resilientFetch;
}

test('when a name moves, its kept connections are drained and the next call goes to the new host', async () => {
  const { name, first, url } = await openTwoHosts();
  const resilientFetch = client({ dialer: name.dialer, resolver: name });
  expect(await (await resilientFetch(url)).text()).toBe('127.0.0.1');
  name.moveTo('127.0.0.2');
  expect(await (await resilientFetch(url)).text()).toBe('127.0.0.2');
  await waitUntil(() => first.open.size === 0);
  expect(resilientFetch.getStats()).toMatchObject({ connectionsDrained: 1 });
});

test('a call in flight to an address that is gone ends well, and its connection is not used again', async () => {
  let finish = (): void => {};
  const server = await openRawServer((socket) => {
    socket.write(whole('', { 'content-length': '4' }));
    finish = () => void socket.write('done');
  });
  opened.push(server);
  const name = new MovingName('moving.test', '127.0.0.1');
  const resilientFetch = client({ dialer: name.dialer, resolver: name });
  const response = await resilientFetch(`http://moving.test:${server.port}/`);
  name.moveTo('127.0.0.9');
  expect(resilientFetch.getStats().origins[0]).toMatchObject({ connections: 0, draining: 1 });
  finish();
  expect(await response.text()).toBe('done');
  await waitUntil(() => server.open.size === 0);
});

test('an address that left while it was being connected serves the call that waits for it, and no other', async () => {
  const { name, url } = await openTwoHosts();
  const resilientFetch = client({ dialer: name.dialer, resolver: name });
  await (await resilientFetch(url)).text();
  name.dialer.gate = Promise.withResolvers();
  name.moveTo('127.0.0.2');
  const held = name.dialer.gate;
  const early = resilientFetch(url);
  await waitUntil(() => name.dialer.dials === 2);
  name.moveTo('127.0.0.1');
  name.dialer.gate = undefined;
  held.resolve();
  expect(await (await early).text()).toBe('127.0.0.2');
  expect(await (await resilientFetch(url)).text()).toBe('127.0.0.1');
});

test('a name that changes all the time does not keep a slow connection from being made', async () => {
  const { name, url } = await openTwoHosts();
  const resilientFetch = client({ dialer: name.dialer, resolver: name });
  const gate = (name.dialer.gate = Promise.withResolvers<void>());
  const call = resilientFetch(url);
  await waitUntil(() => name.dialer.dials === 1);
  for (let at = 0; at < 50; at += 1) name.moveTo(`127.0.0.${1 + (at % 2)}`);
  name.dialer.gate = undefined;
  gate.resolve();
  expect((await call).status).toBe(200);
  expect(name.dialer.dials).toBe(1);
});

test('a connection is not used again when it is older than maxConnectionAgeMs', async () => {
  const { name, first, url } = await openTwoHosts();
  const resilientFetch = client({ dialer: name.dialer, maxConnectionAgeMs: 50 });
  await (await resilientFetch(url)).text();
  const openedMs = systemClock.now();
  await waitUntil(() => systemClock.now() > openedMs + 60);
  await (await resilientFetch(url)).text();
  expect(first.accepted).toBe(2);
  expect(resilientFetch.getStats()).toMatchObject({ connectionsDrained: 1 });
});

test('connections that idle for keepAliveMs are closed, and do not hold the process', async () => {
  const { name, first, url } = await openTwoHosts();
  const resilientFetch = client({ dialer: name.dialer, keepAliveMs: 50 });
  await (await resilientFetch(url)).text();
  await waitUntil(() => first.open.size === 0);
  expect(resilientFetch.getStats().origins[0]).toMatchObject({ connections: 0 });
});

test('origins over maxOrigins take the place of one without calls; with calls they are kept', async () => {
  const first = await openRawServer((socket) => socket.write(whole('1')));
  const second = await openRawServer((socket) =>
    socket.write(whole('', { 'content-length': '9' })),
  );
  opened.push(first, second);
  const resilientFetch = client({ dialer: new TestDialer(), maxOrigins: 1 });
  await (await resilientFetch(first.url)).text();
  const held = await resilientFetch(second.url);
  await waitUntil(() => first.open.size === 0);
  await expect(resilientFetch(first.url)).rejects.toMatchObject({ code: 'NETWORK_FETCH_REFUSED' });
  await held.body?.cancel();
  expect((await resilientFetch(first.url)).status).toBe(200);
});

test(`${CHANGES} moves of a name under ${CALLS_PER_SECOND} calls a second fail no call, and each is followed`, async () => {
  const { name, url } = await openTwoHosts();
  const resilientFetch = client({ dialer: name.dialer, resolver: name, retry: { maxAttempts: 1 } });
  const failed: unknown[] = [];
  const running = new Set<Promise<void>>();
  let answered = 0;
  const load = setInterval(() => {
    // At most as many as a second has: a slow machine gets less load, and no fewer moves.
    for (let at = 0; at < 5 && running.size < CALLS_PER_SECOND; at += 1) {
      const method = at === 0 ? 'POST' : 'GET';
      const call: Promise<void> = resilientFetch(url, { method })
        .then((response) => response.text())
        .then(
          () => void (answered += 1),
          (error: unknown) => void failed.push(error),
        )
        .finally(() => running.delete(call));
      running.add(call);
    }
  }, 10);
  for (let change = 0; change < CHANGES; change += 1) {
    const before = answered;
    await waitUntil(() => answered >= before + 10);
    const to = `127.0.0.${2 - (change % 2)}`;
    name.moveTo(to);
    // A call that begins after the move is answered by the new host.
    expect(await (await resilientFetch(url)).text()).toBe(to);
  }
  clearInterval(load);
  await Promise.all(running);
  expect(failed).toStrictEqual([]);
  expect(resilientFetch.getStats().connectionsDrained).toBeGreaterThanOrEqual(CHANGES);
});
