import { expect, test } from '@jest/globals';
import { sleep } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';

test('timers fire in the order of their times, whatever order they were set in', async () => {
  const clock = createFakeClock();
  const fired: [string, number][] = [];
  for (const [name, delayMs] of [
    ['late', 300],
    ['early', 100],
    ['middle', 200],
    ['too late', 301],
  ] as const) {
    clock.schedule(delayMs, () => fired.push([name, clock.now()]));
  }
  await clock.advance(300);
  expect(fired).toEqual([
    ['early', 100],
    ['middle', 200],
    ['late', 300],
  ]);
  expect(clock.pendingTimers).toBe(1);
});

test('promises that a timer settles run within the same advance', async () => {
  const clock = createFakeClock();
  const course: number[] = [];
  const walk = async (): Promise<void> => {
    for (let step = 0; step < 3; step += 1) {
      await sleep(clock, 10);
      course.push(clock.now());
    }
  };
  const walking = walk();
  await clock.advance(30);
  await walking;
  expect(course).toEqual([10, 20, 30]);
});

test('settle moves time just as far as the work needs, and fails like it', async () => {
  const clock = createFakeClock();
  expect(await clock.settle(sleep(clock, 5_000).then(() => 'done'))).toBe('done');
  expect(clock.now()).toBe(5_000);
  const failing = sleep(clock, 10).then(() => {
    throw new Error('no');
  });
  await expect(clock.settle(failing)).rejects.toThrow('no');
});

test('a step of the wall clock does not move the monotonic reading', async () => {
  const clock = createFakeClock(1_000);
  clock.stepWallClock(-500);
  await clock.advance(20);
  expect([clock.now(), clock.epochMs()]).toEqual([20, 520]);
});

test('a cancelled timer never fires', async () => {
  const clock = createFakeClock();
  const fired: string[] = [];
  const timer = clock.schedule(10, () => fired.push('fired'));
  timer.cancel();
  await clock.advance(100);
  expect(fired).toEqual([]);
});
