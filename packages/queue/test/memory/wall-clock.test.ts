import { afterEach, expect, test } from '@jest/globals';
import { createMemoryBackend, createQueueOn } from '@holdfast/queue';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import type { Queue } from '../../src/queue.ts';
import { openTestQueue } from '../open-queue.ts';

const HOUR_MS = 3_600_000;
const STEPS_MS = [0, HOUR_MS, -HOUR_MS];

let queues: Queue[] = [];

afterEach(async () => {
  await Promise.all(queues.splice(0).map((queue) => queue.close()));
  queues = [];
});

function openMemoryQueue(clock: FakeClock): Queue {
  const queue = createQueueOn(createMemoryBackend({ clock }), { clock });
  queues.push(queue);
  return queue;
}

/** Lets time pass until the condition holds; returns how much did, in steps of 10 ms. */
async function msUntil(clock: FakeClock, isTrue: () => boolean): Promise<number> {
  const sinceMs = clock.now();
  while (!isTrue() && clock.now() - sinceMs < 5_000) await clock.advance(10);
  return clock.now() - sinceMs;
}

test.each(STEPS_MS)(
  'in memory, a failed job runs again after its pause, through %d ms',
  async (stepMs) => {
    const clock = createFakeClock();
    const queue = openMemoryQueue(clock);
    let attempts = 0;
    const fail = (): void => {
      attempts += 1;
      if (attempts === 1) throw new Error('at first');
    };
    queue.process('t', fail, { retryDelayMs: 400 });
    await queue.enqueue('t', 1);
    await msUntil(clock, () => attempts === 1);
    await clock.advance(10);
    clock.stepWallClock(stepMs);
    const waitedMs = await msUntil(clock, () => attempts === 2);
    expect(attempts).toBe(2);
    expect(waitedMs).toBeGreaterThanOrEqual(150);
    expect(waitedMs).toBeLessThanOrEqual(500);
  },
);

test.each(STEPS_MS)(
  'in memory, a delayed job runs after its delay, through %d ms',
  async (stepMs) => {
    const clock = createFakeClock();
    const queue = openMemoryQueue(clock);
    let handled = 0;
    queue.process('t', () => void (handled += 1));
    await queue.enqueue('t', 1, { delayMs: 500 });
    clock.stepWallClock(stepMs);
    const [shown] = await queue.inspect('t').peek('delayed');
    expect((shown?.dueAtMs ?? 0) - clock.epochMs()).toBeCloseTo(500, -1);
    const waitedMs = await msUntil(clock, () => handled === 1);
    expect(handled).toBe(1);
    expect(waitedMs).toBeGreaterThanOrEqual(490);
    expect(waitedMs).toBeLessThanOrEqual(600);
  },
);

test.each(STEPS_MS)(
  'a delayed job that waits in the fallback keeps its delay, through %d ms',
  async (stepMs) => {
    const { queue, backend, clock } = openTestQueue({ fallback: 'memory' });
    queues.push(queue);
    let handled = 0;
    queue.process('t', () => void (handled += 1));
    backend.up();
    await queue.ready();
    backend.down();
    const accepted = queue.enqueue('t', 1, { delayMs: 500 });
    await clock.advance(100);
    expect(await accepted).toMatchObject({ accepted: 'memory' });
    clock.stepWallClock(stepMs);
    await clock.advance(100);
    backend.up();
    const waitedMs = await msUntil(clock, () => handled === 1);
    expect(handled).toBe(1);
    expect(waitedMs).toBeGreaterThanOrEqual(280);
    expect(waitedMs).toBeLessThanOrEqual(1_000);
  },
);
