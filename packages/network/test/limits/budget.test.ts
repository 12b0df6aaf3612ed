import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type BudgetOptions, createBudget } from '@holdfast/network/limits';

function budgetOf(limits: BudgetOptions['limits'], more: Partial<BudgetOptions> = {}) {
  const clock = createFakeClock();
  return { clock, budget: createBudget({ limits, clock, ...more }) };
}

const reasonOf = (error: unknown): unknown => error;

test('reservations wait in the order of their calls, and the late small one does not overtake a large one', async () => {
  const { budget } = budgetOf({ descriptors: 4 });
  const held = await budget.reserve({ descriptors: 3 });
  const order: string[] = [];
  const large = budget.reserve({ descriptors: 4 }).then((got) => (order.push('large'), got));
  const small = budget.reserve({ descriptors: 1 }).then((got) => (order.push('small'), got));
  expect(budget.tryReserve({ descriptors: 1 })).toBeUndefined();
  held.release();
  (await large).release();
  await small;
  expect(order).toEqual(['large', 'small']);
});

test('what waits for one resource does not keep back what wants only another', async () => {
  const { budget } = budgetOf({ descriptors: 1, bytes: 100 });
  await budget.reserve({ descriptors: 1 });
  const waiting = budget.reserve({ descriptors: 1 });
  await budget.reserve({ bytes: 100 });
  budget.close();
  await expect(waiting).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
});

test('what wants some of the same as an earlier one waits behind it', async () => {
  const { budget } = budgetOf({ descriptors: 1, bytes: 100 });
  await budget.reserve({ descriptors: 1 });
  const waiting = budget.reserve({ descriptors: 1, bytes: 10 });
  const refused = waiting.catch(reasonOf);
  // Behind one that wants bytes too, and before one that does not.
  const behind = budget.reserve({ bytes: 10 }).catch(reasonOf);
  expect(budget.getStats()).toMatchObject({ waiting: 2 });
  budget.close();
  expect(await Promise.all([refused, behind])).toMatchObject([
    { code: 'NETWORK_CLOSED' },
    { code: 'NETWORK_CLOSED' },
  ]);
});

test('all amounts of a reservation are taken, or none', async () => {
  const { budget } = budgetOf({ descriptors: 2, bytes: 10 });
  const held = await budget.reserve({ bytes: 10 });
  const both = budget.reserve({ descriptors: 1, bytes: 5 });
  expect(budget.getStats()).toMatchObject({ used: { descriptors: 0, bytes: 10 }, waiting: 1 });
  held.shrink({ bytes: 5 });
  const got = await both;
  expect(budget.getStats().used).toEqual({ descriptors: 1, bytes: 10, disk: 0 });
  got.release();
  got.release();
  held.release();
  expect(budget.getStats().used).toEqual({ descriptors: 0, bytes: 0, disk: 0 });
});

test('a wait ends at its deadline, with an error that says what is used', async () => {
  const { budget, clock } = budgetOf({ bytes: 10 }, { timeoutMs: 1_000 });
  await budget.reserve({ bytes: 10 });
  const late = budget.reserve({ bytes: 1 }).catch(reasonOf);
  const later = budget.reserve({ bytes: 1 }, { timeoutMs: 3_000 }).catch(reasonOf);
  await clock.advance(1_000);
  expect(await late).toMatchObject({
    code: 'NETWORK_BUDGET_EXHAUSTED',
    reason: 'timeout',
    resource: 'bytes',
    retryable: true,
    outcome: 'not-applied',
    message: expect.stringContaining('10 of 10 used'),
  });
  await clock.advance(2_000);
  expect(await later).toMatchObject({ reason: 'timeout' });
  expect(clock.pendingTimers).toBe(0);
});

test('an aborted wait rejects with its reason, and the next one is served', async () => {
  const { budget, clock } = budgetOf({ bytes: 10 });
  const held = await budget.reserve({ bytes: 8 });
  const controller = new AbortController();
  const aborted = budget.reserve({ bytes: 5 }, { signal: controller.signal }).catch(reasonOf);
  const behind = budget.reserve({ bytes: 2 });
  controller.abort('gone');
  expect(await aborted).toBe('gone');
  // It waited only for its turn.
  await behind;
  held.release();
  expect(clock.pendingTimers).toBe(0);
  await expect(budget.reserve({ bytes: 1 }, { signal: controller.signal })).rejects.toBe('gone');
});

test('the queue is bounded: one more is refused at once', async () => {
  const { budget } = budgetOf({ bytes: 1 }, { maxWaiting: 1 });
  const held = await budget.reserve({ bytes: 1 });
  const waits = budget.reserve({ bytes: 1 });
  await expect(budget.reserve({ bytes: 1 })).rejects.toMatchObject({ reason: 'queue-full' });
  held.release();
  await waits;
});

test('watermarks: first what is idle is wanted back, then low priority is shed, then all wait', async () => {
  const { budget } = budgetOf({ descriptors: 10 });
  const seen: unknown[] = [];
  budget.on('level', ({ level }) => seen.push(level));
  budget.on('evict', ({ amount }) => seen.push(amount));
  const held = await budget.reserve({ descriptors: 8 });
  expect(seen).toEqual([1, 'evict']);
  await expect(budget.reserve({ descriptors: 1 }, { priority: 'low' })).rejects.toMatchObject({
    reason: 'shed',
  });
  expect(budget.tryReserve({ descriptors: 1 }, { priority: 'low' })).toBeUndefined();
  await budget.reserve({ descriptors: 1 });
  expect(budget.level('descriptors')).toBe('shed');
  await budget.reserve({ descriptors: 1 });
  expect(budget.level('descriptors')).toBe('refuse');
  seen.length = 0;
  const waits = budget.reserve({ descriptors: 2 });
  expect(seen).toEqual([2]);
  held.release();
  await waits;
  expect(budget.level('descriptors')).toBe('free');
});

test('what a listener releases while the budget is full serves the reservation that asked for it', async () => {
  const { budget } = budgetOf({ bytes: 10 });
  const idle = await budget.reserve({ bytes: 10 });
  budget.on('evict', () => idle.release());
  await budget.reserve({ bytes: 4 });
  expect(budget.getStats()).toMatchObject({ used: { bytes: 4 }, waiting: 0 });
});

test('more than the limit is refused at once, because waiting cannot help', async () => {
  const { budget } = budgetOf({ bytes: 10 });
  await expect(budget.reserve({ bytes: 11 })).rejects.toMatchObject({
    reason: 'too-large',
    retryable: false,
  });
  expect(budget.tryReserve({ bytes: 11 })).toBeUndefined();
});

test('a raised limit serves what waits, a lowered one takes nothing away', async () => {
  const { budget } = budgetOf({ bytes: 10 });
  await budget.reserve({ bytes: 10 });
  const waits = budget.reserve({ bytes: 5 });
  budget.setLimit('bytes', 15);
  await waits;
  budget.setLimit('bytes', 5);
  expect(budget.getStats()).toMatchObject({ used: { bytes: 15 }, limits: { bytes: 5 } });
});

test('a closed budget refuses what waits and what comes', async () => {
  const { budget } = budgetOf({ bytes: 1 });
  const held = await budget.reserve({ bytes: 1 });
  const waits = budget.reserve({ bytes: 1 }).catch(reasonOf);
  budget.close();
  budget.close();
  expect(await waits).toMatchObject({ code: 'NETWORK_CLOSED' });
  await expect(budget.reserve({ bytes: 1 })).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
  expect(budget.tryReserve({ bytes: 1 })).toBeUndefined();
  held.release();
  expect(budget.getStats().used.bytes).toBe(0);
});

test.each([
  [{}, 'limits'],
  [{ limits: {} }, 'limits'],
  [{ limits: { bytes: 0 } }, 'limits.bytes'],
  [{ limits: { sockets: 1 } }, 'limits.sockets'],
  [{ limits: { bytes: 1 }, evictAt: 0.9, shedAt: 0.8 }, 'evictAt'],
  [{ limits: { bytes: 1 }, maxWaiting: -1 }, 'maxWaiting'],
  [{ limits: { bytes: 1 }, timeoutMs: Number.NaN }, 'timeoutMs'],
  [{ limits: { bytes: 1 }, unknown: 1 }, 'unknown'],
])('createBudget(%j) is refused by the name of %s', (options, field) => {
  expect(() => Reflect.apply(createBudget, undefined, [options])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});

test.each([
  [{ bytes: -1 }, 'amounts.bytes'],
  [{ bytes: 0.5 }, 'amounts.bytes'],
  [{ disk: 1 }, 'amounts.disk'],
  [{ sockets: 1 }, 'amounts.sockets'],
])('a reservation of %j is refused by the name of %s', async (amounts, field) => {
  const { budget } = budgetOf({ bytes: 10 });
  await expect(budget.reserve(JSON.parse(JSON.stringify(amounts)))).rejects.toMatchObject({
    code: 'INVALID_OPTION',
    field,
  });
});
