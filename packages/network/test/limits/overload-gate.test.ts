import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createLoopDelayProbe, createOverloadGate } from '@holdfast/network/limits';

const reasonOf = (error: unknown): unknown => error;

test('implements request throttling under load: 20 calls of 50 ms, 10 at a time, take two rounds', async () => {
  const clock = createFakeClock();
  const throttle = createOverloadGate({ maxConcurrent: 10, clock });
  let running = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    running += 1;
    most = Math.max(most, running);
    await sleep(clock, 50);
    running -= 1;
  };
  const startMs = clock.now();
  await clock.settle(Promise.all(Array.from({ length: 20 }, () => throttle.process(work))));
  expect(clock.now() - startMs).toBe(100);
  expect(most).toBe(10);
  expect(throttle.getStats()).toMatchObject({ served: 20, refused: 0, running: 0 });
  expect(clock.pendingTimers).toBe(0);
});

test('the newest call is served first: it has the most time left', async () => {
  const gate = createOverloadGate({ maxConcurrent: 1 });
  const leave = await gate.enter();
  const order: number[] = [];
  const calls = [1, 2, 3].map((call) => gate.process(() => order.push(call)));
  leave();
  await Promise.all(calls);
  expect(order).toEqual([3, 2, 1]);
});

test('a call over its time budget is refused and never started', async () => {
  const clock = createFakeClock();
  const gate = createOverloadGate({ maxConcurrent: 1, budgetMs: 500, clock });
  const leave = await gate.enter();
  let started = false;
  const late = gate.process(() => (started = true)).catch(reasonOf);
  await clock.advance(500);
  expect(await late).toMatchObject({
    code: 'NETWORK_OVERLOADED',
    reason: 'waited-too-long',
    retryable: true,
    outcome: 'not-applied',
    retryAfterMs: 500,
  });
  leave();
  expect(started).toBe(false);
  expect(gate.getStats()).toMatchObject({ running: 0, waiting: 0, refused: 1 });
});

test('with a full queue the one that has waited longest is refused', async () => {
  const gate = createOverloadGate({ maxConcurrent: 1, maxWaiting: 2 });
  const leave = await gate.enter();
  const oldest = gate.process(() => 'oldest').catch(reasonOf);
  const rest = ['older', 'newest'].map((name) => gate.process(() => name));
  expect(await oldest).toMatchObject({ reason: 'queue-full' });
  leave();
  expect(await Promise.all(rest)).toEqual(['older', 'newest']);
});

test('without a queue the call is refused at once', async () => {
  const gate = createOverloadGate({ maxConcurrent: 1, maxWaiting: 0 });
  await gate.enter();
  await expect(gate.enter()).rejects.toMatchObject({ reason: 'queue-full' });
});

test('refusals of a lasting overload come within the short budget, and the long one is back after it', async () => {
  const clock = createFakeClock();
  const gate = createOverloadGate({ maxConcurrent: 1, clock });
  const events: boolean[] = [];
  gate.on('overload', ({ isOverloaded }) => events.push(isOverloaded));
  const leave = await gate.enter();
  const waits: { sinceMs: number; lateMs: number }[] = [];
  const offer = (): void => {
    const sinceMs = clock.now();
    gate.enter().then(undefined, () => waits.push({ sinceMs, lateMs: clock.now() - sinceMs }));
  };
  for (let at = 0; at < 100; at += 1) {
    offer();
    await clock.advance(5);
  }
  const afterStart = waits.filter(({ sinceMs }) => sinceMs >= 200);
  expect(Math.max(...afterStart.map(({ lateMs }) => lateMs))).toBeLessThanOrEqual(10);
  expect(afterStart.length).toBeGreaterThan(50);
  // Those that began to wait before it was known made room for later ones.
  expect(Math.max(...waits.map(({ lateMs }) => lateMs))).toBeLessThanOrEqual(400);
  await clock.advance(10);
  leave();
  // A slot that is free for a moment does not end it.
  await gate.enter();
  const impatient = gate.enter().catch(reasonOf);
  await clock.advance(10);
  expect(await impatient).toMatchObject({ reason: 'waited-too-long' });
  await clock.advance(600);
  expect(gate.getStats().isOverloaded).toBe(true);
  gate.close();
  expect(events).toEqual([true]);
});

test('overload is over when a slot is free again for half of the time, and the long budget is back', async () => {
  const clock = createFakeClock();
  const gate = createOverloadGate({ maxConcurrent: 1, clock });
  const events: boolean[] = [];
  gate.on('overload', ({ isOverloaded }) => events.push(isOverloaded));
  const leave = await gate.enter();
  for (let at = 0; at < 50; at += 1) {
    gate.enter().catch(() => undefined);
    await clock.advance(5);
  }
  await clock.advance(500);
  leave();
  await clock.advance(550);
  await gate.enter();
  expect(events).toEqual([true, false]);
  const patient = gate.enter().catch(reasonOf);
  await clock.advance(499);
  expect(gate.getStats().waiting).toBe(1);
  await clock.advance(1);
  expect(await patient).toMatchObject({ reason: 'waited-too-long' });
});

test('a busy event loop alone refuses nothing', async () => {
  const probe = createLoopDelayProbe({ intervalMs: 1 });
  const gate = createOverloadGate({ maxConcurrent: 1 });
  const busyUntilMs = systemClock.now() + 60;
  while (systemClock.now() < busyUntilMs);
  expect(probe.read().maxMs).toBeGreaterThan(50);
  expect(await gate.process(() => 'served')).toBe('served');
  probe.close();
});

test('an aborted wait leaves the queue, a closed gate refuses all', async () => {
  const clock = createFakeClock();
  const gate = createOverloadGate({ maxConcurrent: 1, clock });
  const leave = await gate.enter();
  const controller = new AbortController();
  const aborted = gate.enter({ signal: controller.signal }).catch(reasonOf);
  const waits = gate.enter().catch(reasonOf);
  controller.abort('gone');
  expect(await aborted).toBe('gone');
  gate.close();
  expect(await waits).toMatchObject({ code: 'NETWORK_CLOSED' });
  await expect(gate.enter()).rejects.toMatchObject({ code: 'NETWORK_CLOSED' });
  leave();
  leave();
  expect(gate.getStats()).toMatchObject({ running: 0, waiting: 0, served: 1 });
  expect(clock.pendingTimers).toBe(0);
});

test('a call that throws gives its slot back', async () => {
  const gate = createOverloadGate({ maxConcurrent: 1 });
  const failure = new Error('handler');
  await expect(
    gate.process(() => {
      throw failure;
    }),
  ).rejects.toBe(failure);
  expect(await gate.process(() => 1)).toBe(1);
});

test.each([
  [{ maxConcurrent: 0 }, 'maxConcurrent'],
  [{ budgetMs: -1 }, 'budgetMs'],
  [{ maxWaiting: 1.5 }, 'maxWaiting'],
  [{ order: 'lifo' }, 'order'],
])('createOverloadGate(%j) is refused by the name of %s', (options, field) => {
  expect(() => Reflect.apply(createOverloadGate, undefined, [options])).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field }),
  );
});
