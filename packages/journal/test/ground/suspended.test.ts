import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { awakeClock } from '../../src/files/awake-clock.ts';
import { boundedFiles } from '../../src/files/bounded-files.ts';
import { GroupCommit } from '../../src/commit/group-commit.ts';
import { createMemoryFileSystem } from '../../src/files/memory-file-system.ts';
import type { Clock } from '@holdfast/foundation';

/** A clock of a process that is suspended: its due timers fire once, at the end. */
function suspendableClock() {
  const timers = new Set<{ dueMs: number; callback: () => void }>();
  let nowMs = 0;
  const clock: Clock = {
    now: () => nowMs,
    epochMs: () => nowMs,
    schedule(delayMs, callback) {
      const timer = { dueMs: nowMs + delayMs, callback };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
  };
  const fireDue = (): void => {
    for (const timer of Array.from(timers)) {
      if (timer.dueMs > nowMs || !timers.delete(timer)) continue;
      timer.callback();
    }
  };
  return {
    clock,
    suspend: (forMs: number): void => {
      nowMs += forMs;
      fireDue();
    },
    run: async (forMs: number): Promise<void> => {
      for (let ms = 0; ms < forMs; ms += 100) {
        nowMs += 100;
        fireDue();
        for (let turn = 0; turn < 5; turn += 1) {
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
        }
      }
    },
  };
}

test.each([5_001, 7_000, 3_600_000])(
  'a call to the disk does not fail for a suspension of its process of %d ms, and does for its own',
  async (suspendedMs) => {
    const { clock, suspend, run } = suspendableClock();
    const answer = Promise.withResolvers<undefined>();
    const files = { ...createMemoryFileSystem(), list: () => answer.promise.then(() => ['a']) };
    const bounded = boundedFiles(files, '/', { clock, ioTimeoutMs: 5_000, maxConcurrent: 2 });
    const results: unknown[] = [];
    const listed = bounded.list('/').then(
      (names) => results.push(names),
      (error: unknown) => results.push(Reflect.get(Object(error), 'code')),
    );
    suspend(suspendedMs);
    await run(3_000);
    expect(results).toEqual([]);
    if (suspendedMs === 7_000) await run(2_000);
    else answer.resolve(undefined);
    await listed;
    expect(results).toEqual(suspendedMs === 7_000 ? ['ETIMEDOUT'] : [['a']]);
  },
);

test.each([0, 500, 4_900])(
  'a write of the journal that moved on %d ms before a suspension is no stall',
  async (progressMs) => {
    const { clock, suspend, run } = suspendableClock();
    const written = Promise.withResolvers<number>();
    let stalls = 0;
    let lastProgressMs = 0;
    const commits = new GroupCommit({
      capacity: () => 1_000,
      commit: () => written.promise,
      pauseMs: 0,
      clock,
      ioTimeoutMs: 5_000,
      lastProgressMs: () => lastProgressMs,
      onStalled() {
        stalls += 1;
        return { written: new Error('stalled'), waiting: new Error('stalled') };
      },
      onResumed: () => {},
    });
    const added = commits.add([Buffer.from('x')], 1);
    await run(100 + progressMs);
    lastProgressMs = clock.now();
    suspend(60_000);
    await run(900);
    expect(stalls).toBe(0);
    written.resolve(7);
    expect(await added).toBe(7);
  },
);

test('without a suspension a timer fires after its delay exactly', async () => {
  const fake = createFakeClock();
  for (const delayMs of [0, 1, 3, 7, 999, 5_000]) {
    const firedMs: number[] = [];
    const startMs = fake.now();
    const awake = awakeClock(fake);
    awake.schedule(delayMs, () => firedMs.push(fake.now() - startMs));
    awake.schedule(delayMs, () => firedMs.push(NaN)).cancel();
    const late = awake.schedule(10 * delayMs + 10, () => firedMs.push(NaN));
    await fake.advance(delayMs);
    late.cancel();
    expect(firedMs).toEqual([delayMs]);
  }
  expect(fake.pendingTimers).toBe(0);
});
