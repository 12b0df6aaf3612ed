import { expect, test } from '@jest/globals';
import { type Clock, seededRandom } from '@holdfast/foundation';
import {
  type AdaptiveLimitOptions,
  LimitExceededError,
  createAdaptiveLimit,
} from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type ServerLoad, goodput, quantileOf, runSimulatedServer } from './simulated-server.ts';
import { failureOf } from '../failures.ts';

const SERVICE_MS = 100;

/** A server of twenty workers, offered twice what it can serve. */
const overloaded = {
  limit: (clock: Clock) => createAdaptiveLimit({ clock, random: seededRandom(9) }),
  durationMs: 180_000,
  arrivalsPerSecond: () => 400,
  workers: () => 20,
  serviceMs: () => SERVICE_MS,
} satisfies Omit<ServerLoad, 'seed'>;

test.each([
  [1, 20],
  [2, 20],
  [3, 60],
])(
  'goodput is at least 90 % of an oracle while capacity halves and returns (seed %i, %i workers)',
  (seed, workers) => {
    const half = (atMs: number): boolean => atMs >= 60_000 && atMs < 120_000;
    const capacity = (workers * 1_000) / SERVICE_MS;
    const run = runSimulatedServer({
      ...overloaded,
      seed,
      arrivalsPerSecond: () => 2 * capacity,
      workers: (atMs) => (half(atMs) ? workers / 2 : workers),
    });
    // Only calls served within twice the undisturbed latency count.
    const within = (fromMs: number, toMs: number): number =>
      goodput(run, fromMs, toMs, 2 * 1.2 * SERVICE_MS);
    expect(within(10_000, 60_000)).toBeGreaterThan(0.9 * capacity);
    expect(within(60_000, 120_000)).toBeGreaterThan((0.9 * capacity) / 2);
    expect(within(120_000, 180_000)).toBeGreaterThan(0.9 * capacity);
    // Ten windows after each change it has settled.
    expect(within(65_000, 75_000)).toBeGreaterThan((0.9 * capacity) / 2);
    expect(within(125_000, 135_000)).toBeGreaterThan(0.9 * capacity);
    expect(quantileOf(run, 65_000, 120_000, 0.99)).toBeLessThan(2 * 1.2 * SERVICE_MS);
    expect(quantileOf(run, 125_000, 180_000, 0.99)).toBeLessThan(2 * 1.2 * SERVICE_MS);
  },
);

/** The same for an hour or more, with fewer and longer calls. */
const longOverload = {
  ...overloaded,
  durationMs: 3_600_000,
  arrivalsPerSecond: () => 80,
  serviceMs: () => 5 * SERVICE_MS,
};

test('an hour of mild overload lets neither limit nor baseline creep up', () => {
  const run = runSimulatedServer({ ...longOverload, seed: 4, arrivalsPerSecond: () => 44 });
  const settled = run.samples.filter(({ atMs }) => atMs > 30_000);
  expect(Math.max(...settled.map(({ limit }) => limit))).toBeLessThan(4 * 20);
  expect(Math.max(...settled.map(({ baselineMs }) => baselineMs ?? NaN))).toBeLessThan(
    1.25 * longOverload.serviceMs(),
  );
  expect(goodput(run, 30_000, 3_600_000, 1_200)).toBeGreaterThan(0.9 * 40);
});

test('in an hour at a quarter of the capacity the baseline stays, and everything returns after it', () => {
  const run = runSimulatedServer({
    ...longOverload,
    seed: 5,
    durationMs: 4_000_000,
    workers: (atMs) => (atMs > 200_000 && atMs < 3_800_000 ? 5 : 20),
  });
  const during = run.samples.filter(({ atMs }) => atMs > 220_000 && atMs < 3_800_000);
  expect(Math.max(...during.map(({ baselineMs }) => baselineMs ?? NaN))).toBeLessThan(
    1.25 * longOverload.serviceMs(),
  );
  expect(Math.max(...during.map(({ limit }) => limit))).toBeLessThan(20);
  expect(goodput(run, 220_000, 3_800_000, 1_200)).toBeGreaterThan(0.9 * 10);
  expect(goodput(run, 3_830_000, 4_000_000, 1_200)).toBeGreaterThan(0.9 * 40);
});

test('a server that became slower by itself is measured again and then fully used', () => {
  const run = runSimulatedServer({
    ...overloaded,
    seed: 6,
    durationMs: 400_000,
    serviceMs: (atMs) => (atMs > 200_000 ? 300 : SERVICE_MS),
  });
  expect(goodput(run, 230_000, 400_000, Infinity)).toBeGreaterThan(0.9 * (20 / 0.3));
});

test('a server that drops excess calls stays busy and gets few of them', () => {
  const run = runSimulatedServer({ ...overloaded, seed: 7, queueMax: 0 });
  expect(goodput(run, 10_000, 180_000, Infinity)).toBeGreaterThan(0.9 * 200);
  const settled = run.samples.filter(({ atMs }) => atMs > 10_000);
  expect(Math.max(...settled.map(({ limit }) => limit))).toBeLessThan(1.5 * 20);
});

test('an unused limit does not grow', () => {
  const run = runSimulatedServer({ ...overloaded, seed: 8, arrivalsPerSecond: () => 50 });
  expect(Math.max(...run.samples.map(({ limit }) => limit))).toBeLessThan(40);
});

test('a server that drops everything brings the limit down to minLimit', async () => {
  const clock = createFakeClock();
  const limit = createAdaptiveLimit({ clock, minLimit: 2, windowMs: 100 });
  for (let call = 0; call < 200; call += 1) {
    const permit = limit.tryAcquire();
    await clock.advance(10);
    permit?.dropped();
  }
  expect(limit.getStats().limit).toBe(2);
});

test('calls above the limit are refused at once with a typed error', async () => {
  const limit = createAdaptiveLimit({ name: 'maps', initialLimit: 1, clock: createFakeClock() });
  const permit = limit.tryAcquire();
  expect(permit).toBeDefined();
  const refusal = await failureOf(limit.execute(() => 'never'));
  expect(refusal).toBeInstanceOf(LimitExceededError);
  expect(refusal).toMatchObject({
    code: 'RESILIENCE_LIMIT_EXCEEDED',
    retryable: true,
    outcome: 'not-applied',
  });
  permit?.release();
  permit?.succeeded();
  expect(limit.getStats()).toMatchObject({ activeCount: 0, rejectedCount: 1 });
  expect(await limit.execute(() => 'served')).toBe('served');
});

test('an abort or an ordinary failure does not move the limit', async () => {
  const clock = createFakeClock();
  const limit = createAdaptiveLimit({ clock, windowMs: 1, minimumSamples: 1, initialLimit: 100 });
  const fail = (error: unknown, signal?: AbortSignal) =>
    limit.execute(
      async () => {
        await clock.advance(10);
        throw error;
      },
      { signal },
    );
  const notFound = Object.assign(new Error('not found'), { status: 404 });
  const timedOut = Object.assign(new Error('late'), { code: 'ETIMEDOUT' });
  for (let call = 0; call < 5; call += 1) expect(await failureOf(fail(notFound))).toBe(notFound);
  expect(limit.getStats().limit).toBe(100);
  const controller = new AbortController();
  const aborted = fail(timedOut, controller.signal);
  controller.abort();
  await failureOf(aborted);
  expect(limit.getStats().limit).toBe(100);
  await failureOf(fail(timedOut));
  expect(limit.getStats().limit).toBeLessThan(100);
  expect(limit.getStats().activeCount).toBe(0);
});

test('options out of range or contradicting each other are refused when the limit is made', () => {
  const refused: readonly [string, AdaptiveLimitOptions][] = [
    ['initialLimit', { initialLimit: 0 }],
    ['initialLimit', { initialLimit: 5, minLimit: 6 }],
    ['initialLimit', { initialLimit: 5, maxLimit: 4 }],
    ['minLimit', { minLimit: 30, maxLimit: 25 }],
    ['latencyTolerance', { latencyTolerance: 0.9 }],
    ['latencyTolerance', { latencyTolerance: NaN }],
    ['windowMs', { windowMs: 0 }],
    ['minimumSamples', { minimumSamples: 1.5 }],
    ['remeasureEveryMs', { remeasureEveryMs: -1 }],
  ];
  for (const [field, options] of refused) {
    expect(() => createAdaptiveLimit(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field }),
    );
  }
  expect(() => createAdaptiveLimit()).not.toThrow();
});
