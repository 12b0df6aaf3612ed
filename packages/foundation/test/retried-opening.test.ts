import { expect, test } from '@jest/globals';
import { createFakeClock } from '../src/timers/fake-clock.ts';
import { RetriedOpening } from '../src/deadlines/retried-opening.ts';

/** An opening that is refused until `admit` is called. */
function refused(): {
  clock: ReturnType<typeof createFakeClock>;
  opening: RetriedOpening<number>;
  attempts: () => number;
  admit: () => void;
} {
  const clock = createFakeClock();
  let isAdmitted = false;
  let attempts = 0;
  const open = async (): Promise<number> => {
    attempts += 1;
    if (!isAdmitted) throw new Error(`locked at attempt ${attempts}`);
    return attempts;
  };
  return {
    clock,
    opening: new RetriedOpening(open, { clock, retryMs: 1_000 }),
    attempts: () => attempts,
    admit: () => void (isAdmitted = true),
  };
}

test('calls at the same time share one attempt, and a call after a failure begins the next', async () => {
  const { opening, attempts, admit } = refused();
  await expect(Promise.all([opening.get(), opening.get()])).rejects.toThrow('attempt 1');
  await expect(opening.get()).rejects.toThrow('attempt 2');
  admit();
  expect(await opening.get()).toBe(3);
  expect(await opening.get()).toBe(3);
  expect(attempts()).toBe(3);
});

test('it is tried again without a call', async () => {
  const { opening, clock, attempts, admit } = refused();
  await expect(opening.get()).rejects.toThrow('locked');
  admit();
  await clock.advance(1_000);
  expect(attempts()).toBe(2);
  expect(await opening.close()).toBe(2);
});

test('after close nothing is tried again', async () => {
  const { opening, clock, attempts } = refused();
  expect(await opening.close()).toBeUndefined();
  await clock.advance(10_000);
  expect(attempts()).toBe(1);
  expect(clock.pendingTimers).toBe(0);
  await expect(opening.get()).rejects.toThrow('attempt 1');
});
