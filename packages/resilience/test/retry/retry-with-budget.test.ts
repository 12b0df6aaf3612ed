import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { type Retry, createRetry, createRetryBudget } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { failing, failureOf, reset } from '../failures.ts';

const certain = (): number => 0.5;
const seed = 20_261_122;

test('a spent budget refuses further attempts and leaves the running one alone', async () => {
  const clock = createFakeClock();
  const budget = createRetryBudget({
    retryRatio: 0,
    maxSavedRetries: 1,
    minRetriesPerSecond: 0.1,
    clock,
  });
  const policy = createRetry({ initialDelayMs: 100, budget, clock, random: certain });
  const { promise, resolve } = Promise.withResolvers<string>();
  const inFlight = policy.execute(() => promise);
  expect(await clock.settle(policy.execute(failing(1)))).toBe('ok');
  expect(await failureOf(policy.execute(failing(1)))).toMatchObject({
    code: 'RESILIENCE_RETRY_EXHAUSTED',
    exhaustedBy: 'budget',
    cause: reset,
  });
  resolve('unharmed');
  expect(await inFlight).toBe('unharmed');
  expect(policy.getStats()).toMatchObject({ budgetRefusals: 1, retrySuccesses: 1, successes: 2 });
  await clock.advance(10_000);
  expect(await clock.settle(policy.execute(failing(1)))).toBe('ok');
});

test('every call deposits into the budget of its retries', async () => {
  const clock = createFakeClock();
  const budget = createRetryBudget({
    retryRatio: 0.5,
    maxSavedRetries: 1,
    minRetriesPerSecond: 0,
    clock,
  });
  const policy = createRetry({ initialDelayMs: 10, budget, clock, random: certain });
  expect(await clock.settle(policy.execute(failing(1)))).toBe('ok');
  await policy.execute(failing(0));
  expect(await clock.settle(policy.execute(failing(1)))).toBe('ok');
  expect(await failureOf(policy.execute(failing(1)))).toMatchObject({ exhaustedBy: 'budget' });
});

test('in a total outage three layers of three attempts load the dependency with at most 1.2 times the offer', async () => {
  const clock = createFakeClock();
  const offered = 2_000;
  let load = 0;
  const random = seededRandom(seed);
  const layer = (): Retry => createRetry({ initialDelayMs: 10, clock, random });
  const [outer, middle, inner] = [layer(), layer(), layer()];
  const calls = Array.from({ length: offered }, () =>
    outer.execute(() =>
      middle.execute(() =>
        inner.execute(() => {
          load += 1;
          throw reset;
        }),
      ),
    ),
  );
  const outcomes = await clock.settle(Promise.allSettled(calls));
  expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
  expect(load).toBeGreaterThan(offered);
  expect(load).toBeLessThanOrEqual(1.2 * offered);
});

test('an attempt that fails by the caller’s abort is not repeated and spends no budget', async () => {
  const clock = createFakeClock();
  const budget = createRetryBudget({ clock });
  const policy = createRetry({ clock, budget, random: certain });
  const controller = new AbortController();
  const work = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(reset), { once: true });
    });
  const settled = failureOf(policy.execute(work, { signal: controller.signal }));
  controller.abort('left');
  expect(await settled).toBe('left');
  await clock.advance(60_000);
  expect(policy.getStats()).toMatchObject({ calls: 1, attempts: 1 });
  expect(budget.getStats().withdrawn).toBe(0);
});
