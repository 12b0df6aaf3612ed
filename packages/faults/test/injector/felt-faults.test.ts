import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { expect, test } from '@jest/globals';
import {
  type InjectedFaultKind,
  createChaosFaultInjector,
  createHttpFaultProxy,
} from '@holdfast/faults';
import { createFakeClock } from '@holdfast/foundation/testing';
import { closeAfterTest } from '../close-after-test.ts';
import { fate, openBench, portOf, quiet } from '../servers.ts';

const kinds: readonly InjectedFaultKind[] = [
  'resource_exhaustion',
  'rate_limit',
  'network_failure',
  'partial_failure',
  'malformed_response',
  'data_corruption',
];

/** Whatever a caller of the injector can see of a fault. */
async function seen(call: Promise<unknown>): Promise<string> {
  return call.then(
    (value) => (value === 'the answer of the call' ? 'nothing' : 'damaged'),
    (error: { injection?: { kind: string } }) => error.injection?.kind ?? 'own error',
  );
}

test('a strike that an earlier fault hides is neither counted, nor published, nor one of its times', async () => {
  const chaos = createChaosFaultInjector(true, { seed: 42 });
  for (const kind of kinds) chaos.configureFault(kind, { probability: 0.3 });
  const published: Record<string, number> = {};
  chaos.on('injected', ({ kind }) => void (published[kind] = (published[kind] ?? 0) + 1));
  const felt: Record<string, number> = {};
  for (let call = 0; call < 10_000; call += 1) {
    const what = await seen(chaos.execute(() => 'the answer of the call'));
    felt[what] = (felt[what] ?? 0) + 1;
  }
  const { injected } = chaos.getStats();
  expect(published).toEqual(injected);
  for (const kind of kinds.slice(0, 4)) expect(injected[kind]).toBe(felt[kind]);
  const { malformed_response: malformed = 0, data_corruption: corrupted = 0 } = injected;
  const damaged = felt['damaged'] ?? 0;
  // A result can be cut and corrupted.
  expect(malformed + corrupted).toBeGreaterThanOrEqual(damaged);
  expect(Math.max(malformed, corrupted)).toBeLessThanOrEqual(damaged);
  const count = (decision: string): number =>
    chaos.decisions().latest.filter((each) => each.endsWith(decision)).length;
  expect(count(' hidden')).toBeGreaterThan(100);
});

test('faults of a response count only where there was one', async () => {
  const chaos = createChaosFaultInjector(true);
  chaos.configureFault('malformed_response', { times: 1 });
  const failing = async (): Promise<never> => {
    throw new Error('its own');
  };
  await expect(chaos.execute(failing)).rejects.toThrow('its own');
  await expect(chaos.fetch(failing)('http://nowhere')).rejects.toThrow('its own');
  expect(chaos.getStats().injected.malformed_response ?? 0).toBe(0);
  // The one time is still there.
  expect(await chaos.execute(() => 'answer')).toBe('ans');
  expect(await chaos.execute(() => 'answer')).toBe('answer');
  expect(chaos.getStats().injected).toEqual({ malformed_response: 1 });
});

test('a late answer that its caller does not wait for is late all the same', async () => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { clock });
  chaos.configureFault('network_delay', { latencyMs: 100 });
  const caller = new AbortController();
  const call = chaos.execute(() => 1, { signal: caller.signal }).catch((error: unknown) => error);
  caller.abort(new Error('enough'));
  expect(await call).toEqual(new Error('enough'));
  expect(chaos.getStats().injected).toEqual({ network_delay: 1 });
});

test('a fetch counts what its caller sees', async () => {
  const chaos = createChaosFaultInjector(true, { seed: 3 });
  chaos.configureFault('rate_limit', { probability: 0.5 });
  chaos.configureFault('malformed_response', { probability: 0.5 });
  const fetching = chaos.fetch(async () => new Response('0123456789'));
  let limited = 0;
  let cut = 0;
  for (let call = 0; call < 500; call += 1) {
    const response = await fetching('http://nowhere');
    if (response.status === 429) limited += 1;
    else if ((await response.text()).length === 5) cut += 1;
  }
  expect(chaos.getStats().injected).toEqual({ rate_limit: limited, malformed_response: cut });
  expect(limited + cut).toBeLessThan(500);
});

test('an HTTP proxy counts the faults that its client sees', async () => {
  const server = createServer((_, response) => response.end('0123456789'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = { port: portOf(server) };
  const proxy = closeAfterTest(await createHttpFaultProxy({ target, seed: 9 }));
  proxy.faults.set('status', { status: 503, probability: 0.4 });
  proxy.faults.set('redirectLoop', { probability: 0.4 });
  proxy.faults.set('malformedBody', { probability: 0.4, times: 20 });
  const felt = { status: 0, redirectLoop: 0, malformedBody: 0 };
  for (let call = 0; call < 100; call += 1) {
    const response = await fetch(proxy.url, { redirect: 'manual' });
    const body = await response.text();
    if (response.status === 503) felt.status += 1;
    else if (response.status === 302) felt.redirectLoop += 1;
    else if (body.length === 5) felt.malformedBody += 1;
  }
  expect(proxy.getStats().injected).toEqual(felt);
  server.close();
  server.closeAllConnections();
  proxy.heal();
  proxy.faults.set('malformedBody');
  await expect(fetch(proxy.url)).rejects.toThrow('fetch failed');
  while (proxy.getStats().requestsBroken === 0) await quiet();
  expect(proxy.getStats()).toMatchObject({ injected: felt, requestsBroken: 1 });
});

test('a TCP proxy counts no fault on a connection that a reset ends at once', async () => {
  const bench = await openBench({ seed: 7 });
  try {
    bench.proxy.faults.set('latency', { latencyMs: 1, probability: 0.5 });
    bench.proxy.faults.set('slice', { sliceBytes: 1, probability: 0.5 });
    bench.proxy.faults.set('reset', { probability: 0.5 });
    let resets = 0;
    for (let index = 0; index < 40; index += 1) {
      const client = connect(bench.proxy.port, bench.proxy.host);
      const end = fate(client);
      client.end('?');
      if ((await end) === 'ECONNRESET') resets += 1;
    }
    const { injected } = bench.proxy.getStats();
    expect(injected.reset).toBe(resets);
    const both = bench.proxy
      .decisions()
      .latest.filter((each) => /(latency|slice).*injected/.test(each));
    expect(injected.latency + injected.slice).toBeGreaterThan(0);
    expect(both.length).toBeGreaterThan(injected.latency + injected.slice);
    expect(Math.max(injected.latency, injected.slice)).toBeLessThanOrEqual(40 - resets);
  } finally {
    await bench.close();
  }
});
