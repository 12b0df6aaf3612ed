import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type LookupService, createLookupService } from '@holdfast/atlas';
import { type LookupResponse, ShadowAtlasAPI } from '@holdfast/atlas/api';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { grid } from '../districts.ts';

const LIMIT = 100;
const OPEN_MS = 30_000;
let clock: FakeClock;
let api: ShadowAtlasAPI;
beforeEach(() => {
  clock = createFakeClock();
  api = new ShadowAtlasAPI({ lookupService: createLookupService([grid(4, 4)]), clock });
});
afterEach(() => clock.settle(api.close()));

const ask = (lat = 30.5, clientId = 'a'): Promise<LookupResponse> =>
  clock.settle(api.handleLookup({ lat, lon: -99.5, clientId }));
const failing: LookupService = {
  lookup: async () => {
    throw new Error('Database unavailable at postgres://me:secret@db');
  },
};

test('the API serves the stale answer when the database fails, and says how old it is', async () => {
  const fresh = await ask();
  expect(fresh).toMatchObject({ status: 200, stale: false, ageMs: 0 });
  api['lookupService'].lookup = async () => {
    throw new Error('Database unavailable');
  };
  await clock.advance(5_000);
  const response = await ask();
  expect(response).toEqual({ ...fresh, stale: true, ageMs: expect.any(Number) });
  expect(response.ageMs).toBeGreaterThanOrEqual(5_000);
  expect(api.getStats().staleAnswers).toBe(1);
});

test('an answer that is too old is not served', async () => {
  await api.close();
  api = new ShadowAtlasAPI({
    lookupService: createLookupService([grid(4, 4)]),
    clock,
    maxStaleMs: 1_000,
  });
  await ask();
  api.lookupService = failing;
  await clock.advance(1_001);
  await expect(ask()).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
});

test('the API enforces the limit of each client: of 150 rapid calls exactly the limit is granted', async () => {
  const results = await Promise.allSettled(Array.from({ length: 150 }, () => ask()));
  const limited = results.filter(
    (result) => result.status === 'rejected' && result.reason.code === 'RATE_LIMIT_EXCEEDED',
  );
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(LIMIT);
  expect(limited).toHaveLength(150 - LIMIT);
  expect(await ask(30.5, 'another client')).toMatchObject({ status: 200 });
  await clock.advance(100);
  expect(await ask()).toMatchObject({ status: 200 });
  await expect(ask()).rejects.toMatchObject({ code: 'RATE_LIMIT_EXCEEDED', retryAfterMs: 100 });
});

test('while the circuit is closed a failure is INTERNAL_ERROR, and while it is open SERVICE_DEGRADED', async () => {
  api.lookupService = failing;
  await expect(ask()).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
  expect(api.getHealthState().level).toBe('healthy');
  for (let call = 0; call < 5; call += 1) await expect(ask()).rejects.toThrow(/failed|degraded/);
  expect(api.getHealthState().level).toBe('critical');
  await expect(ask()).rejects.toMatchObject({
    code: 'SERVICE_DEGRADED',
    retryAfterMs: expect.any(Number),
  });
  api.lookupService = createLookupService([grid(4, 4)]);
  await clock.advance(OPEN_MS);
  expect(await ask()).toMatchObject({ status: 200, stale: false });
  expect(api.getHealthState().level).toBe('healthy');
});

test('while the circuit is open the database is not asked', async () => {
  let asked = 0;
  api.lookupService = {
    lookup: async () => {
      asked += 1;
      throw new Error('down');
    },
  };
  for (let call = 0; call < 20; call += 1) await expect(ask()).rejects.toThrow(/failed|degraded/);
  expect(asked).toBe(10);
});

test('a position that is none fails the caller and not the circuit', async () => {
  for (const lat of [Number.NaN, 90.1, -91, Infinity]) {
    await expect(ask(lat)).rejects.toMatchObject({ code: 'INVALID_COORDINATES' });
  }
  expect(api.getStats().stack.calls).toBe(0);
});

test('lookups beyond the slots and the queue are refused, and no client waits for ever', async () => {
  await api.close();
  const hanging: LookupService = { lookup: () => new Promise(() => {}) };
  api = new ShadowAtlasAPI({
    lookupService: hanging,
    clock,
    bulkhead: { maxConcurrent: 2, maxQueueSize: 1, queueTimeoutMs: 100 },
    timeoutMs: 1_000,
  });
  const results = await Promise.all(
    ['a', 'b', 'c', 'd'].map((id) => ask(30.5, id).catch((error: { code: string }) => error.code)),
  );
  for (const code of results) expect(code).toMatch(/^(?:SERVICE_DEGRADED|INTERNAL_ERROR)$/);
  expect(api.resilience.getStats().bulkhead?.rejectedCount).toBeGreaterThan(0);
});

test('the answers that are kept for a failure are bounded', async () => {
  await api.close();
  api = new ShadowAtlasAPI({ clock, maxSnapshots: 3 });
  for (const lat of [1, 2, 3, 4, 5]) await ask(lat);
  expect(api.getStats().snapshots).toBe(3);
  api.lookupService = failing;
  expect(await ask(5)).toMatchObject({ stale: true });
  await expect(ask(1)).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
});

test('over HTTP each failure has its status and code, and no cause', async () => {
  const address = await api.app.listen({ host: '127.0.0.1', port: 0 });
  const get = async (path: string): Promise<{ status: number; body: unknown }> => {
    const response = await clock.settle(fetch(`${address}${path}`));
    return { status: response.status, body: await response.json() };
  };
  expect(await get('/lookup?lat=30.5&lon=-99.5')).toMatchObject({
    status: 200,
    body: { stale: false, districts: [{ id: 'WI-congressional-0', name: 'District 0' }] },
  });
  expect(await get('/lookup?lat=&lon=1')).toMatchObject({
    status: 400,
    body: { error: { code: 'INVALID_COORDINATES' } },
  });
  api.lookupService = failing;
  const failed = await get('/lookup?lat=31.5&lon=-99.5');
  expect(failed).toMatchObject({ status: 500, body: { error: { code: 'INTERNAL_ERROR' } } });
  expect(JSON.stringify(failed)).not.toContain('Database');
  for (let call = 0; call < 5; call += 1) await get('/lookup?lat=31.5&lon=-99.5');
  expect(await get('/lookup?lat=31.5&lon=-99.5')).toMatchObject({
    status: 503,
    body: { error: { code: 'SERVICE_DEGRADED' } },
  });
  expect(await get('/lookup?lat=30.5&lon=-99.5')).toMatchObject({
    status: 200,
    body: { stale: true },
  });
  expect(await get('/health')).toMatchObject({ status: 503, body: { level: 'critical' } });
  for (let call = 0; call < LIMIT; call += 1) await get('/lookup?lat=30.5&lon=-99.5');
  expect(await get('/lookup?lat=30.5&lon=-99.5')).toMatchObject({
    status: 429,
    body: { error: { code: 'RATE_LIMIT_EXCEEDED' } },
  });
  expect(await get('/nowhere')).toMatchObject({ status: 404 });
});

test('the metrics of the guide are in a scrape', async () => {
  await ask();
  const address = await api.app.listen({ host: '127.0.0.1', port: 0 });
  const body = await (await fetch(`${address}/metrics`)).text();
  for (const name of [
    'circuit_breaker_state',
    'circuit_breaker_last_state_change',
    'retry_attempts_total',
    'retry_successes_total',
    'bulkhead_active',
    'bulkhead_queued',
    'bulkhead_rejected_total',
    'atlas_rate_limited_total',
    'atlas_stale_answers_total',
  ]) {
    expect(body).toMatch(new RegExp(`^${name}\\{`, 'm'));
  }
});

test('it closes twice, and refuses afterwards', async () => {
  await api.close();
  await api.close();
  await expect(ask()).rejects.toMatchObject({ code: 'RATE_LIMIT_EXCEEDED' });
});
