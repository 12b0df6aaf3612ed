import { expect, test } from '@jest/globals';
import { createRetryBudget } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';

test('ten calls earn one retry, and no more than maxSavedRetries are saved', () => {
  const budget = createRetryBudget({
    retryRatio: 0.1,
    maxSavedRetries: 2,
    minRetriesPerSecond: 0,
    clock: createFakeClock(),
  });
  expect([1, 2, 3].map(() => budget.tryWithdraw())).toEqual([true, true, false]);
  for (let call = 0; call < 9; call += 1) budget.deposit();
  expect(budget.tryWithdraw()).toBe(false);
  budget.deposit();
  expect(budget.tryWithdraw()).toBe(true);
  for (let call = 0; call < 1_000; call += 1) budget.deposit();
  expect(budget.getStats()).toEqual({ available: 2, withdrawn: 3, refused: 2 });
});

test('time alone refills a spent budget', async () => {
  const clock = createFakeClock();
  const budget = createRetryBudget({ maxSavedRetries: 1, minRetriesPerSecond: 2, clock });
  expect(budget.tryWithdraw()).toBe(true);
  expect(budget.tryWithdraw()).toBe(false);
  await clock.advance(500);
  expect(budget.tryWithdraw()).toBe(true);
});

test('a budget earns for the time that has passed since it last earned, and no more', async () => {
  const clock = createFakeClock();
  await clock.advance(60_000);
  const budget = createRetryBudget({ maxSavedRetries: 3, minRetriesPerSecond: 1, clock });
  for (let call = 0; call < 3; call += 1) budget.tryWithdraw();
  expect(budget.tryWithdraw()).toBe(false);
  await clock.advance(2_000);
  expect(budget.getStats().available).toBe(2);
  expect(budget.getStats().available).toBe(2);
});

test('options out of range are refused', () => {
  expect(() => createRetryBudget({ retryRatio: 1.1 })).toThrow('retryRatio must be');
  expect(() => createRetryBudget({ minRetriesPerSecond: Number.NaN })).toThrow(
    'minRetriesPerSecond must be',
  );
});
