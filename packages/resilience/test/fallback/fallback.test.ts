import { expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import { createFallback, createResilienceStack } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { failureOf } from '../failures.ts';

const broken = new Error('the server is down');
const fail = () => Promise.reject(broken);

test('a successful call returns its own result, whatever fallbacks there are', async () => {
  const fallback = createFallback();
  const cachedValue = { value: 'kept', timestamp: 0 };
  const answer = fallback.execute(() => 'fresh', { cachedValue, fallbackValue: 'none' });
  expect(await answer).toEqual({ source: 'live', value: 'fresh' });
});

test('a failed call is answered by the kept value, with its age and the failure', async () => {
  const clock = createFakeClock();
  const fallback = createFallback({ clock });
  const cachedValue = { value: 'kept', timestamp: clock.epochMs() };
  await clock.advance(1_500);
  expect(await fallback.execute(fail, { cachedValue, fallbackValue: null })).toEqual({
    source: 'stale',
    value: 'kept',
    ageMs: 1_500,
    error: broken,
  });
});

test('a kept value older than maxStaleMs does not answer any more', async () => {
  const clock = createFakeClock();
  const fallback = createFallback({ clock, maxStaleMs: 1_000 });
  const cachedValue = { value: 'kept', timestamp: clock.epochMs() };
  await clock.advance(1_000);
  expect(await fallback.execute(fail, { cachedValue })).toMatchObject({ source: 'stale' });
  await clock.advance(1);
  expect(await failureOf(fallback.execute(fail, { cachedValue }))).toBe(broken);
  expect(await fallback.execute(fail, { cachedValue, fallbackValue: 'none' })).toEqual({
    source: 'fallback',
    value: 'none',
    error: broken,
  });
});

test('a wall clock stepped back makes a kept value fresh, not invalid', async () => {
  const clock = createFakeClock();
  const fallback = createFallback({ clock, maxStaleMs: 1_000 });
  const cachedValue = { value: 'kept', timestamp: clock.epochMs() };
  clock.stepWallClock(-3_600_000);
  expect(await fallback.execute(fail, { cachedValue })).toMatchObject({
    source: 'stale',
    ageMs: 0,
  });
});

test('null and undefined are fallback values like any other', async () => {
  const fallback = createFallback();
  for (const fallbackValue of [null, undefined, 0, '']) {
    const answer = await fallback.execute(fail, { fallbackValue });
    expect(answer).toEqual({ source: 'fallback', value: fallbackValue, error: broken });
  }
});

test('a fallback function gets the failure, and is called only when needed', async () => {
  const fallback = createFallback();
  const seen: unknown[] = [];
  const options = {
    fallback: async (error: unknown) => {
      seen.push(error);
      return 'made';
    },
  };
  expect(await fallback.execute(() => 'live', options)).toMatchObject({ source: 'live' });
  expect(await fallback.execute(fail, options)).toMatchObject({
    source: 'fallback',
    value: 'made',
  });
  expect(seen).toEqual([broken]);
  const worse = new Error('the fallback is down, too');
  const failing = fallback.execute(fail, { fallback: () => Promise.reject(worse) });
  expect(await failureOf(failing)).toBe(worse);
});

test('without a fallback the failure reaches the caller unchanged', async () => {
  expect(await failureOf(createFallback().execute(fail))).toBe(broken);
});

test('the caller’s abort never leads to a fallback', async () => {
  const fallback = createFallback();
  const controller = new AbortController();
  const reason = new Error('the user left');
  const call = fallback.execute(
    async () => {
      controller.abort(reason);
      throw broken;
    },
    { fallbackValue: 'none', signal: controller.signal },
  );
  expect(await failureOf(call)).toBe(reason);
  const { signal } = controller;
  expect(fallback.substituteFor(broken, { fallbackValue: 'none', signal })).toBeUndefined();
  let called = false;
  expect(await failureOf(fallback.execute(() => (called = true), { signal }))).toBe(reason);
  expect(called).toBe(false);
});

test('shouldFallBack decides which failures get a fallback; by default all but invalid options', async () => {
  const mistake = new InvalidOptionError('f', 'x', 1, 'else');
  const failing = () => Promise.reject(mistake);
  const options = { fallbackValue: 'none' };
  expect(await failureOf(createFallback().execute(failing, options))).toBe(mistake);
  const strict = createFallback({ shouldFallBack: (error) => error !== broken });
  expect(await failureOf(strict.execute(fail, options))).toBe(broken);
  expect(await strict.execute(failing, options)).toMatchObject({ source: 'fallback' });
});

test('contradictory options and fallbacks are refused before the call', async () => {
  expect(() => createFallback({ maxStaleMs: -1 })).toThrow(InvalidOptionError);
  expect(() => createFallback({ maxStaleMs: NaN })).toThrow(InvalidOptionError);
  let called = false;
  const call = () => (called = true);
  const fallback = createFallback();
  const refused: object[] = [
    { cachedValue: { value: true, timestamp: NaN } },
    { fallback: 'none' },
    { fallback: () => true, fallbackValue: true },
  ];
  for (const substitutes of refused) {
    expect(await failureOf(fallback.execute(call, substitutes))).toBeInstanceOf(InvalidOptionError);
  }
  expect(called).toBe(false);
});

test('a fallback function that does not settle ends with the caller’s abort', async () => {
  const never = (): Promise<never> => new Promise(() => {});
  const fails = (): Promise<never> => Promise.reject(new Error('down'));
  const reason = new Error('enough');
  for (const execute of [
    (signal: AbortSignal) => createFallback().execute(fails, { fallback: never, signal }),
    (signal: AbortSignal) =>
      createResilienceStack({ timeoutMs: 200 }).execute(fails, { fallback: never, signal }),
  ]) {
    const controller = new AbortController();
    const call = execute(controller.signal);
    setImmediate(() => controller.abort(reason));
    await expect(call).rejects.toBe(reason);
  }
});
