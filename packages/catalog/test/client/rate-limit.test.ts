import { describe, expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { CatalogRateLimitedError, createCatalogClient } from '@holdfast/catalog';
import { collect } from './collect.ts';
import { ScriptedApi, rows } from './scripted-api.ts';

const SECOND = { requests: 10, windowMs: 1_000, cost: 1, phaseMs: 0 };

function open(options: Omit<ConstructorParameters<typeof ScriptedApi>[0], 'clock'>) {
  const clock = createFakeClock();
  const api = new ScriptedApi({ clock, ...options });
  const client = createCatalogClient({
    apiKey: 'key',
    fetch: api.fetch,
    clock,
    random: seededRandom(1),
    perPage: [100],
  });
  return { clock, api, client };
}

/** The share of the tokens that was used once pages came side by side, without the last window. */
function usedShare(api: ScriptedApi, requests: number): number {
  const windows = [...api.tokens.values()];
  const used = windows.slice(windows.length > 6 ? 3 : 1, -1);
  return used.reduce((sum, tokens) => sum + tokens, 0) / (used.length * requests);
}

const latencies = { none: 0, short: 20, long: 100, 'very long': 250 };

describe('all of the permitted rate is used, and nothing is refused', () => {
  test.each(Object.entries(latencies))('with a %s latency', async (_, latencyMs) => {
    const { clock, api, client } = open({
      groups: { g: rows(10_000) },
      limit: { ...SECOND, phaseMs: 333 },
      latencyMs: () => latencyMs,
    });
    const { names } = await clock.settle(collect(client));
    expect(names['g']).toHaveLength(10_000);
    expect(api.refused).toBe(0);
    expect(usedShare(api, 10)).toBeGreaterThanOrEqual(0.95);
  });

  test.each([-3_600_000, -700, 700, 3_600_000])(
    'by a server whose clock is wrong by %i ms',
    async (skewMs) => {
      const { clock, api, client } = open({
        groups: { g: rows(4_000) },
        limit: { ...SECOND, phaseMs: 777 },
        skewMs,
        latencyMs: () => 30,
      });
      await clock.settle(collect(client));
      expect(api.refused).toBe(0);
      expect(usedShare(api, 10)).toBeGreaterThanOrEqual(0.95);
    },
  );

  test.each([
    { ...SECOND, cost: 2 },
    { ...SECOND, cost: 10 },
    { ...SECOND, requests: 3 },
    { ...SECOND, requests: 20, windowMs: 5_000 },
    { ...SECOND, requests: 10, windowMs: 500 },
  ])(
    'where $requests tokens in $windowMs ms are permitted, and a request costs $cost',
    async (limit) => {
      const { clock, api, client } = open({
        groups: { g: rows(4_000) },
        limit,
        latencyMs: () => 10,
      });
      await clock.settle(collect(client));
      expect(api.refused).toBe(0);
      expect(usedShare(api, limit.requests)).toBeGreaterThanOrEqual(0.8);
    },
  );

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('with latencies that jump (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    const { clock, api, client } = open({
      groups: { a: rows(3_000), b: rows(3_000) },
      limit: { ...SECOND, phaseMs: Math.floor(random() * 1_000) },
      latencyMs: () => (random() < 0.1 ? 1_500 : 5) * random(),
    });
    await clock.settle(collect(client));
    expect(api.refused).toBe(0);
  });
});

test.each([-3_600_000, -400, 400, 3_600_000])(
  'a clock of the server that steps by %i ms in the middle costs no refusal',
  async (stepMs) => {
    const { clock, api, client } = open({
      groups: { g: rows(4_000) },
      limit: { ...SECOND, phaseMs: 333 },
      latencyMs: () => 40,
    });
    api.instead = ({ page }) => {
      if (page === 25) clock.stepWallClock(stepMs);
      return undefined;
    };
    const { names } = await clock.settle(collect(client));
    expect(names['g']).toHaveLength(4_000);
    expect(api.refused).toBe(0);
    expect(usedShare(api, 10)).toBeGreaterThanOrEqual(0.8);
  },
);

test('two runs of one client share the limit', async () => {
  const { clock, api, client } = open({
    groups: { a: rows(3_000), b: rows(3_000) },
    limit: SECOND,
    latencyMs: () => 20,
  });
  const runs = [collect(client), collect(client)];
  await clock.settle(Promise.all(runs));
  expect(api.refused).toBe(0);
  expect(usedShare(api, 10)).toBeGreaterThanOrEqual(0.95);
});

test('a refusal for an hour ends the run, instead of a wait at every group', async () => {
  const { clock, api, client } = open({
    groups: { a: rows(10), b: rows(10), c: rows(10) },
    instead: ({ path }) =>
      path.endsWith('groups')
        ? undefined
        : new Response('{}', { status: 429, headers: { 'retry-after': '3600' } }),
  });
  const { failed } = await clock.settle(collect(client));
  expect(Object.keys(failed)).toEqual(['a', 'b', 'c']);
  expect(failed['c']).toBeInstanceOf(CatalogRateLimitedError);
  expect(api.calls).toHaveLength(2);
  expect(clock.now()).toBeLessThan(1_000);
});

test('at most maxInFlight requests run at a time, and without a limit nobody waits', async () => {
  const { clock, api, client } = open({ groups: { g: rows(4_000) }, latencyMs: () => 100 });
  const startMs = clock.now();
  await clock.settle(collect(client));
  expect(api.peakInFlight).toBe(8);
  expect(clock.now() - startMs).toBeLessThan((40 / 8 + 6) * 100);
});

test('after a 429 it waits as long as told and a little more, then asks for half', async () => {
  const { clock, api, client } = open({ groups: { g: rows(3_000) }, limit: SECOND });
  let isOtherBusy = true;
  const pauses: number[] = [];
  client.on('rate-limited', ({ pauseMs }) => {
    pauses.push(pauseMs);
    isOtherBusy = false;
  });
  const arrivals: number[] = [];
  api.instead = () => {
    arrivals.push(clock.now());
    // Another client of the same address takes what is left.
    if (isOtherBusy && arrivals.length > 12) while (api.take(1));
    return undefined;
  };
  const { names } = await clock.settle(collect(client));
  expect(names['g']).toHaveLength(3_000);
  expect(api.refused).toBeGreaterThan(0);
  expect(pauses.every((pauseMs) => pauseMs >= 1_000 && pauseMs <= 1_150)).toBe(true);
  const gaps = arrivals.slice(1).map((atMs, at) => atMs - (arrivals[at] ?? 0));
  expect(Math.max(...gaps)).toBeGreaterThanOrEqual(1_000);
});

test.each([
  ['again and again', '1', 6],
  ['with a pause longer than permitted', '3600', 1],
])('a 429 that comes %s is an error that says when to retry', async (_, header, requests) => {
  const { clock, api, client } = open({
    instead: () => new Response('{}', { status: 429, headers: { 'retry-after': header } }),
  });
  const failure = await clock.settle(client.listGroups().catch((error: unknown) => error));
  expect(failure).toBeInstanceOf(CatalogRateLimitedError);
  expect(failure).toMatchObject({ retryAfterMs: Number(header) * 1_000, retryable: true });
  expect(api.calls).toHaveLength(requests);
});

test('a limit that is used up for an hour is an error at once, and it goes on after that hour', async () => {
  const hourMs = 3_600_000;
  const { clock, api, client } = open({
    groups: { g: rows(4_000) },
    limit: { ...SECOND, windowMs: hourMs },
    latencyMs: () => 30,
  });
  const startedMs = clock.now();
  await clock.settle(collect(client));
  const again = await clock.settle(client.listGroups().catch((error: unknown) => error));
  expect(again).toBeInstanceOf(CatalogRateLimitedError);
  expect(String(again)).toContain('has used up the rate limit; retry in 3');
  expect(clock.now() - startedMs).toBeLessThan(5_000);
  expect([api.calls.length, api.refused]).toEqual([10, 0]);
  await clock.advance(hourMs);
  await expect(clock.settle(client.listGroups())).resolves.toEqual(['g']);
  expect(api.refused).toBe(0);
});

test('no timer is left when all is fetched, and an abort ends the wait for the next window', async () => {
  const { clock, api, client } = open({ groups: { g: rows(5_000) }, limit: SECOND });
  await clock.settle(collect(client));
  expect(clock.pendingTimers).toBe(0);
  const controller = new AbortController();
  const running = collect(client, { signal: controller.signal });
  const outcome = running.catch((error: unknown) => error);
  await clock.advance(100);
  const reason = new Error('enough');
  controller.abort(reason);
  expect(await outcome).toBe(reason);
  expect(clock.pendingTimers).toBe(0);
  expect(api.inFlight).toBe(0);
  await clock.settle(collect(client));
});
