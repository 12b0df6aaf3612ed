import { createServer } from 'node:http';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { type InjectedFaultKind, createChaosFaultInjector } from '@holdfast/faults';
import { retryAfterMsOf } from '@holdfast/foundation';
import { classifyError, retry } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { portOf } from '../servers.ts';

test('a network failure of 50 % fails half of the calls, and retries succeed', async () => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { seed: 42 });
  chaos.configureFault('network_failure', {
    enabled: true,
    probability: 0.5,
    errorMessage: 'ECONNREFUSED',
  });
  const extract = chaos.wrap((state: string) => `${state}: done`);
  const calls = Array.from({ length: 100 }, () =>
    retry(() => extract('WI'), { maxAttempts: 5, clock }),
  );
  const results = await clock.settle(Promise.allSettled(calls));
  expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(80);
  const { callCount, injected } = chaos.getStats();
  expect((injected.network_failure ?? 0) / callCount).toBeGreaterThan(0.4);
  expect((injected.network_failure ?? 0) / callCount).toBeLessThan(0.6);
});

test('a disabled injector draws nothing, and calls pass unchanged', async () => {
  const chaos = createChaosFaultInjector(false);
  chaos.configureFault('network_failure');
  expect(await chaos.execute(() => 1)).toBe(1);
  expect(chaos.getStats()).toEqual({ enabled: false, seed: 1, callCount: 0, injected: {} });
  chaos.enable();
  await expect(chaos.execute(() => 1)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  chaos.clear();
  expect(await chaos.execute(() => 2)).toBe(2);
});

test.each([
  ['network_failure', 'network_error'],
  ['resource_exhaustion', 'resource_exhausted'],
  ['rate_limit', 'rate_limited'],
  ['timeout', 'network_timeout'],
  ['partial_failure', 'network_error'],
] as const)('%s is taken for the real thing: %s', async (kind, kindOfError) => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { seed: 9, clock });
  chaos.configureFault(kind);
  const error: unknown = await clock.settle(
    chaos.execute(() => 'answer').catch((caught: unknown) => caught),
  );
  expect(classifyError(error)).toBe(kindOfError);
  expect(String(error)).toContain(`(injected: ${kind}, call 1, seed 9)`);
  expect(clock.pendingTimers).toBe(0);
});

test('a rate limit reports when to retry', async () => {
  const chaos = createChaosFaultInjector(true);
  chaos.configureFault('rate_limit', { retryAfterMs: 2_500 });
  const error: unknown = await chaos.execute(() => 1).catch((caught: unknown) => caught);
  expect(retryAfterMsOf(error, 0)).toBe(2_500);
});

test.each(['network_delay', 'timeout'] as const)('an abort ends %s at once', async (kind) => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { clock });
  chaos.configureFault(kind, { latencyMs: 3_600_000 });
  const caller = new AbortController();
  const call = chaos.execute(() => 1, { signal: caller.signal });
  caller.abort(new Error('enough'));
  await expect(call).rejects.toThrow('enough');
  expect(clock.pendingTimers).toBe(0);
});

test('a delayed call is made at once, and its answer is late', async () => {
  const clock = createFakeClock();
  const chaos = createChaosFaultInjector(true, { clock });
  chaos.configureFault('network_delay', { latencyMs: 100, jitterMs: 50 });
  expect(await clock.settle(chaos.execute(() => clock.now()))).toBe(0);
  expect(clock.now()).toBeGreaterThanOrEqual(100);
  expect(clock.now()).toBeLessThan(150);
});

test('a partial failure removes part of a list, a malformed result does not parse, a corrupted one does', async () => {
  const chaos = createChaosFaultInjector(true, { seed: 3 });
  const rows = Array.from({ length: 20 }, (_, id) => ({ id, name: `row ${id}` }));
  chaos.configureFault('partial_failure');
  const some = await chaos.execute(() => rows);
  expect(some.length).toBeLessThan(20);
  expect(some.length).toBeGreaterThan(0);
  chaos.clear();
  chaos.configureFault('malformed_response');
  const text = await chaos.execute(() => JSON.stringify(rows));
  expect(() => JSON.parse(text)).toThrow(SyntaxError);
  chaos.clear();
  chaos.configureFault('data_corruption');
  const wrong = await chaos.execute(() => rows);
  expect(wrong).toHaveLength(20);
  expect(wrong.filter((row, id) => JSON.stringify(row) !== JSON.stringify(rows[id]))).toHaveLength(
    1,
  );
});

test('the first two calls fail and the third does not', async () => {
  const chaos = createChaosFaultInjector(true);
  chaos.configureFault('network_failure', { times: 2 });
  const calls = [1, 2, 3].map((call) => chaos.execute(() => call));
  const settled = await Promise.allSettled(calls);
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled']);
});

test('equal seeds give equal decisions in 1 000 runs, another seed gives others', async () => {
  const run = async (seed: number): Promise<string> => {
    const chaos = createChaosFaultInjector(true, { seed });
    chaos.configureFault('network_failure', { probability: 0.3 });
    chaos.configureFault('data_corruption', { probability: 0.3 });
    for (let call = 0; call < 20; call += 1) await chaos.execute(() => call).catch(() => {});
    return chaos.decisions().hash;
  };
  const first = await run(7);
  const hashes = new Set<string>();
  for (let index = 0; index < 1_000; index += 1) hashes.add(await run(7));
  expect([...hashes]).toEqual([first]);
  expect(await run(8)).not.toBe(first);
});

test('the decisions of one fault do not depend on the others', async () => {
  const struckBy = async (others: readonly InjectedFaultKind[]): Promise<string[]> => {
    const chaos = createChaosFaultInjector(true, { seed: 5 });
    chaos.configureFault('malformed_response', { probability: 0.5 });
    for (const kind of others) chaos.configureFault(kind, { probability: 0.5 });
    for (let call = 0; call < 50; call += 1) await chaos.execute(() => 'text').catch(() => {});
    const own = chaos.decisions().latest.filter((each) => each.includes('malformed_response'));
    return own.map((each) => each.replace('hidden', 'injected'));
  };
  expect(await struckBy(['network_failure', 'data_corruption'])).toEqual(await struckBy([]));
});

test.each([
  [{ probability: 2 }, 'probability'],
  [{ latencyMs: 1 }, 'latencyMs'],
])('%p is refused for a network failure, naming %s', (options, field) => {
  const chaos: { configureFault(kind: string, options: object): void } =
    createChaosFaultInjector(true);
  expect(() => chaos.configureFault('network_failure', options)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test('an unknown fault is refused', () => {
  const chaos: { configureFault(kind: string): void } = createChaosFaultInjector(true);
  expect(() => chaos.configureFault('meteor')).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field: 'kind' }),
  );
});

test('fetch gets faults as HTTP has them', async () => {
  const server = createServer((_, response) => response.end(JSON.stringify({ a: 'whole body' })));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${portOf(server)}/`;
  const chaos = createChaosFaultInjector(true, { seed: 11 });
  const faulty = chaos.fetch();
  const under = async (kind: InjectedFaultKind): Promise<Response> => {
    chaos.clear();
    chaos.configureFault(kind);
    return faulty(url);
  };
  try {
    const limited = await under('rate_limit');
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '1']);
    await expect(under('network_failure')).rejects.toMatchObject({
      message: 'fetch failed',
      cause: { code: 'ECONNREFUSED' },
    });
    await expect((await under('malformed_response')).json()).rejects.toMatchObject({
      name: 'SyntaxError',
    });
    await expect((await under('partial_failure')).text()).rejects.toMatchObject({
      cause: { code: 'ECONNRESET' },
    });
    expect(await (await under('data_corruption')).text()).not.toBe('{"a":"whole body"}');
    chaos.clear();
    expect(await (await faulty(url)).json()).toEqual({ a: 'whole body' });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
