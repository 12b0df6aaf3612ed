import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import { sleep } from '@holdfast/foundation';
import { HedgeLostError, type HedgeOptions, createHedge } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { failureOf } from '../failures.ts';

/** A budget that lets everything through, and counts. */
function openBudget() {
  const counts = { deposits: 0, withdrawals: 0 };
  return {
    counts,
    deposit: () => void (counts.deposits += 1),
    tryWithdraw: () => (counts.withdrawals += 1) > 0,
  };
}

test('a second attempt starts after the delay, answers for the slow one, and the slow one is aborted', async () => {
  const clock = createFakeClock();
  const hedge = createHedge({ delayMs: 100, budget: openBudget(), clock });
  const starts: [number, number][] = [];
  const signals: AbortSignal[] = [];
  const call = hedge.execute(async (signal, attemptNumber) => {
    starts.push([attemptNumber, clock.now()]);
    signals.push(signal);
    await sleep(clock, attemptNumber === 1 ? 1_000 : 50, signal);
    return `attempt ${attemptNumber}`;
  });
  expect(await clock.settle(call)).toBe('attempt 2');
  expect(starts).toEqual([
    [1, 0],
    [2, 100],
  ]);
  expect(clock.now()).toBe(150);
  expect(signals[0]?.reason).toBeInstanceOf(HedgeLostError);
  // The winner may still be streaming its body.
  expect(signals[1]?.aborted).toBe(false);
  expect(clock.pendingTimers).toBe(0);
  expect(hedge.getStats()).toMatchObject({ callCount: 1, hedgeCount: 1, hedgeWinCount: 1 });
});

test('a call faster than the delay is not hedged and leaves no timer', async () => {
  const clock = createFakeClock();
  const budget = openBudget();
  const hedge = createHedge({ delayMs: 100, budget, clock });
  let signal: AbortSignal | undefined;
  const call = hedge.execute(async (own) => {
    signal = own;
    await sleep(clock, 99);
    return 'fast';
  });
  expect(await clock.settle(call)).toBe('fast');
  expect(clock.pendingTimers).toBe(0);
  expect(signal?.aborted).toBe(false);
  expect(budget.counts).toEqual({ deposits: 1, withdrawals: 0 });
});

test('no more than maxHedges further attempts start, one delay apart', async () => {
  const clock = createFakeClock();
  const hedge = createHedge({ delayMs: 10, maxHedges: 2, budget: openBudget(), clock });
  const starts: number[] = [];
  const call = hedge.execute(async (signal) => {
    starts.push(clock.now());
    await sleep(clock, 500, signal);
    return starts.length;
  });
  expect(await clock.settle(call)).toBe(3);
  expect(starts).toEqual([0, 10, 20]);
  expect(clock.now()).toBe(500);
});

test('the abort of the caller ends every attempt with its own reason, in the same turn', async () => {
  const clock = createFakeClock();
  const hedge = createHedge({ delayMs: 10, budget: openBudget(), clock });
  const controller = new AbortController();
  const signals: AbortSignal[] = [];
  const call = failureOf(
    hedge.execute(
      (signal) => {
        signals.push(signal);
        return new Promise(() => {});
      },
      { signal: controller.signal },
    ),
  );
  await clock.advance(10);
  const reason = new Error('the user left');
  controller.abort(reason);
  expect(await call).toBe(reason);
  expect(signals.map((signal) => signal.reason)).toEqual([reason, reason]);
  expect(clock.pendingTimers).toBe(0);
});

test('a failed attempt is not hedged', async () => {
  const clock = createFakeClock();
  const hedge = createHedge({ delayMs: 10, budget: openBudget(), clock });
  const broken = new Error('down');
  const call = hedge.execute(() => {
    throw broken;
  });
  expect(await failureOf(call)).toBe(broken);
  expect(clock.pendingTimers).toBe(0);
  expect(hedge.getStats().hedgeCount).toBe(0);
});

test('when one attempt fails the other decides; when all fail the error has every failure', async () => {
  const clock = createFakeClock();
  const hedge = createHedge({ delayMs: 10, budget: openBudget(), clock });
  const run = (outcomes: readonly { afterMs: number; error?: Error }[]) =>
    clock.settle(
      hedge.execute(async (signal, attemptNumber) => {
        const outcome = outcomes[attemptNumber - 1];
        await sleep(clock, outcome?.afterMs ?? 0, signal);
        if (outcome?.error !== undefined) throw outcome.error;
        return attemptNumber;
      }),
    );
  const [first, second] = [new Error('first'), new Error('second')];
  expect(await run([{ afterMs: 20, error: first }, { afterMs: 50 }])).toBe(2);
  expect(await run([{ afterMs: 50 }, { afterMs: 10, error: second }])).toBe(1);
  const both = [
    { afterMs: 50, error: first },
    { afterMs: 10, error: second },
  ];
  expect(await failureOf(run(both))).toMatchObject({
    code: 'RESILIENCE_HEDGE_FAILED',
    cause: first,
    attempts: [{ error: first }, { error: second }],
  });
});

test('an exhausted budget starts no further attempt and leaves the one under way alone', async () => {
  const clock = createFakeClock();
  const budget = { deposit() {}, tryWithdraw: () => false };
  const hedge = createHedge({ delayMs: 10, budget, clock });
  const call = hedge.execute(async (signal) => {
    await sleep(clock, 100, signal);
    return 'slow but there';
  });
  expect(await clock.settle(call)).toBe('slow but there');
  expect(hedge.getStats()).toMatchObject({ hedgeCount: 0, refusedCount: 1 });
});

test('by default hedges stay at about a tenth of the calls, however slow the server is', async () => {
  const clock = createFakeClock();
  const hedge = createHedge({ delayMs: 1, clock });
  for (let call = 0; call < 2_000; call += 1) {
    await clock.settle(hedge.execute((signal) => sleep(clock, 2, signal)));
  }
  // 100 saved at the start, a tenth of 2 000, one for each of the four seconds.
  expect(hedge.getStats().hedgeCount).toBeLessThanOrEqual(100 + 200 + 5);
  expect(hedge.getStats().hedgeCount).toBeGreaterThan(200);
});

test('the delay follows the quantile of measured latencies, and there is none before minimumCalls', async () => {
  const clock = createFakeClock();
  const hedge = createHedge({ quantile: 0.9, minimumCalls: 10, budget: openBudget(), clock });
  const call = (tookMs: number) =>
    clock.settle(hedge.execute((signal) => sleep(clock, tookMs, signal)));
  for (let number = 1; number < 10; number += 1) await call(10 * number);
  expect(hedge.getStats().delayMs).toBeUndefined();
  await call(100);
  expect(hedge.getStats().delayMs).toBeGreaterThan(90 * 0.97);
  expect(hedge.getStats().delayMs).toBeLessThan(90 * 1.03);
});

test('a hundred settled calls leave no listener on their signal', async () => {
  const clock = createFakeClock();
  const hedge = createHedge({ delayMs: 1, budget: openBudget(), clock });
  const { signal } = new AbortController();
  for (let call = 0; call < 100; call += 1) {
    const work = (own: AbortSignal) => sleep(clock, call % 4, own);
    await clock.settle(hedge.execute(work, { signal }));
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  expect(clock.pendingTimers).toBe(0);
});

test('an aborted signal starts nothing', async () => {
  const budget = openBudget();
  const hedge = createHedge({ delayMs: 1, budget, clock: createFakeClock() });
  const signal = AbortSignal.abort(new Error('gone before'));
  expect(await failureOf(hedge.execute(() => 1, { signal }))).toBe(signal.reason);
  expect(budget.counts.deposits).toBe(0);
});

test('options out of range or contradicting each other are refused when the hedge is made', () => {
  const refused: readonly [string, object][] = [
    ['delayMs', { delayMs: -1 }],
    ['delayMs', { delayMs: NaN }],
    ['quantile', { quantile: 1 }],
    ['quantile', { quantile: 0.95, delayMs: 100 }],
    ['minimumCalls', { minimumCalls: 0 }],
    ['windowMs', { windowMs: 0 }],
    ['maxHedges', { maxHedges: 0 }],
    ['budget', { budget: {} }],
    ['delay', { delay: 1 }],
  ];
  for (const [field, options] of refused) {
    const given: HedgeOptions = options;
    expect(() => createHedge(given)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field }),
    );
  }
});
