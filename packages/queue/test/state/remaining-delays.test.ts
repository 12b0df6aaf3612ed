import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { PublishedJob } from '../../src/backend.ts';
import { RemainingDelays } from '../../src/state/remaining-delays.ts';

const HOUR_MS = 3_600_000;

function jobAt(times: Pick<PublishedJob, 'enqueuedAtMs' | 'dueAtMs'>): PublishedJob {
  return { sequence: 1, id: 'a', unique: false, payload: '1', ...times };
}

test.each([0, HOUR_MS, -HOUR_MS])(
  'a step of the wall clock by %d ms leaves the delays of this process as they are',
  async (stepMs) => {
    const clock = createFakeClock();
    const delays = new RemainingDelays(clock);
    const before = jobAt(delays.timesOf(100));
    const long = jobAt(delays.timesOf(2 * HOUR_MS));
    await clock.advance(40);
    clock.stepWallClock(stepMs);
    const after = jobAt(delays.timesOf(100));
    await clock.advance(30);
    expect(delays.leftOf(before)).toBeCloseTo(30);
    expect(delays.leftOf(long)).toBeCloseTo(2 * HOUR_MS - 70);
    expect(delays.leftOf(after)).toBeCloseTo(70);
    expect(after.dueAtMs - after.enqueuedAtMs).toBe(100);
    // Negative once it is due: jobs keep the order of their times.
    await clock.advance(100);
    expect(delays.leftOf(before)).toBeCloseTo(-70);
  },
);

test('the delays that are left stay right through many steps in both directions', async () => {
  const clock = createFakeClock();
  const delays = new RemainingDelays(clock);
  const jobs: { readonly job: PublishedJob; readonly dueMs: number }[] = [];
  for (const stepMs of [0, 5_000, -90_000, HOUR_MS, -1_000, -HOUR_MS, 250]) {
    clock.stepWallClock(stepMs);
    jobs.push({ job: jobAt(delays.timesOf(10_000)), dueMs: clock.now() + 10_000 });
    await clock.advance(100);
  }
  for (const { job, dueMs } of jobs) expect(delays.leftOf(job)).toBeCloseTo(dueMs - clock.now());
});

test('a job of an earlier process goes by the wall clock, and waits no longer than its delay', async () => {
  const clock = createFakeClock();
  const epochMs = clock.epochMs();
  const delays = new RemainingDelays(clock);
  const ofEarlier = (enqueuedAgoMs: number, delayMs: number): number =>
    delays.leftOf(
      jobAt({ enqueuedAtMs: epochMs - enqueuedAgoMs, dueAtMs: epochMs - enqueuedAgoMs + delayMs }),
    );
  expect(ofEarlier(60, 100)).toBeCloseTo(40);
  expect(ofEarlier(HOUR_MS, 100)).toBeCloseTo(100 - HOUR_MS);
  // The wall clock of that process was an hour ahead, or this one's is an hour behind.
  expect(ofEarlier(-HOUR_MS, 100)).toBeCloseTo(100);
});
