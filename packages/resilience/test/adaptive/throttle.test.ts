import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { ThrottledError, type ThrottleOptions, createThrottle } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { failureOf } from '../failures.ts';

const overload = new Error('overloaded');

test('as long as the server accepts half of what is sent, everything is sent', async () => {
  const throttle = createThrottle({ clock: createFakeClock(), random: () => 0 });
  for (let call = 0; call < 500; call += 1) {
    await throttle.execute(() => 'accepted');
    await failureOf(throttle.execute(() => Promise.reject(overload)));
  }
  expect(throttle.getStats()).toEqual({
    requestCount: 1_000,
    acceptCount: 500,
    throttledCount: 0,
    refusalProbability: 0,
  });
});

test('the chance of refusal is (requests - tolerance x accepts) / (requests + 1)', () => {
  const throttle = createThrottle({ clock: createFakeClock(), random: () => 0.999 });
  for (let call = 0; call < 99; call += 1) throttle.tryAcquire();
  for (let call = 0; call < 20; call += 1) throttle.accepted();
  expect(throttle.getStats().refusalProbability).toBeCloseTo((99 - 2 * 20) / 100, 12);
});

test('against a server that refuses everything nearly nothing is sent, but calls keep trickling through', async () => {
  const throttle = createThrottle({ clock: createFakeClock(), random: seededRandom(42) });
  let sent = 0;
  let refusal: unknown;
  for (let call = 0; call < 10_000; call += 1) {
    const error = await failureOf(
      throttle.execute(() => {
        sent += 1;
        throw overload;
      }),
    );
    if (error !== overload) refusal = error;
  }
  expect(sent).toBeGreaterThan(1);
  expect(sent).toBeLessThan(50);
  expect(refusal).toBeInstanceOf(ThrottledError);
  expect(refusal).toMatchObject({
    code: 'RESILIENCE_THROTTLED',
    retryable: true,
    outcome: 'not-applied',
  });
});

test('the same seed and the same calls are throttled alike', () => {
  const run = (seed: number) => {
    const throttle = createThrottle({ clock: createFakeClock(), random: seededRandom(seed) });
    return Array.from({ length: 200 }, () => throttle.tryAcquire());
  };
  expect(run(7)).toEqual(run(7));
  expect(run(7)).not.toEqual(run(8));
});

test('calls older than the window no longer count, also after a long silence', async () => {
  const clock = createFakeClock();
  const throttle = createThrottle({ windowMs: 12_000, clock, random: () => 0 });
  for (let call = 0; call < 50; call += 1) throttle.tryAcquire();
  await clock.advance(6_000);
  for (let call = 0; call < 5; call += 1) throttle.tryAcquire();
  expect(throttle.getStats().requestCount).toBe(55);
  await clock.advance(6_000);
  expect(throttle.getStats().requestCount).toBe(5);
  await clock.advance(86_400_000);
  expect(throttle.getStats()).toMatchObject({ requestCount: 0, refusalProbability: 0 });
  expect(throttle.tryAcquire()).toBe(true);
});

test('a failure other than overload, and a caller’s abort, count as accepted', async () => {
  const notFound = new Error('not found');
  const throttle = createThrottle({
    clock: createFakeClock(),
    isOverload: (error) => error === overload,
    random: () => 0.999,
  });
  expect(await failureOf(throttle.execute(() => Promise.reject(notFound)))).toBe(notFound);
  const controller = new AbortController();
  const leaving = throttle.execute(
    async () => {
      controller.abort();
      throw overload;
    },
    { signal: controller.signal },
  );
  await failureOf(leaving);
  await failureOf(throttle.execute(() => 1, { signal: controller.signal }));
  expect(throttle.getStats()).toMatchObject({ requestCount: 2, acceptCount: 2 });
});

test('options out of range are refused when the throttle is made', () => {
  const refused: readonly [string, object][] = [
    ['tolerance', { tolerance: 0.9 }],
    ['tolerance', { tolerance: NaN }],
    ['windowMs', { windowMs: 11 }],
    ['random', { random: 1 }],
    ['isOverload', { isOverload: true }],
    ['k', { k: 2 }],
  ];
  for (const [field, options] of refused) {
    const given: ThrottleOptions = options;
    expect(() => createThrottle(given)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field }),
    );
  }
});
