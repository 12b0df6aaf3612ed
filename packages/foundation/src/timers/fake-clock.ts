import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Timer } from '../clock.ts';

/** A clock that only a test advances; no real time passes. */
export interface FakeClock extends Clock {
  /** Advances the time, fires each timer at its own time, and lets promises settle after each. */
  advance(byMs: number): Promise<void>;
  /** Advances from timer to timer until `work` settles, and settles like `work`. */
  settle<T>(work: Promise<T>): Promise<T>;
  /** Steps only the wall clock, as an administrator or NTP would. */
  stepWallClock(byMs: number): void;
  /** The number of pending timers; 0 when no timer is left behind. */
  readonly pendingTimers: number;
}

/**
 * A clock for tests, which stands still until the test advances it. It starts at `startEpochMs` of wall time.
 * @param startEpochMs the initial wall clock.
 */
export function createFakeClock(startEpochMs = 1_700_000_000_000): FakeClock {
  let nowMs = 0;
  let wallOffsetMs = startEpochMs;
  const pending = new Map<number, { dueMs: number; fire: () => void }>();
  let lastId = 0;

  const earliest = (): number | undefined => {
    let found: number | undefined;
    for (const [id, { dueMs }] of pending) {
      if (found === undefined || dueMs < (pending.get(found)?.dueMs ?? Infinity)) found = id;
    }
    return found;
  };

  const fireUpTo = async (limitMs: number): Promise<void> => {
    while (true) {
      const id = earliest();
      const timer = id === undefined ? undefined : pending.get(id);
      if (id === undefined || timer === undefined || timer.dueMs > limitMs) return;
      pending.delete(id);
      nowMs = Math.max(nowMs, timer.dueMs);
      timer.fire();
      await nextTurn();
    }
  };

  return {
    now: () => nowMs,
    epochMs: () => wallOffsetMs + nowMs,
    schedule(delayMs, fire): Timer {
      const id = (lastId += 1);
      pending.set(id, { dueMs: nowMs + Math.max(0, delayMs), fire });
      return { cancel: () => void pending.delete(id) };
    },
    async advance(byMs) {
      await nextTurn();
      const targetMs = nowMs + byMs;
      await fireUpTo(targetMs);
      nowMs = targetMs;
    },
    async settle(work) {
      const progress = { settled: false };
      const mark = (): void => void (progress.settled = true);
      work.then(mark, mark);
      await nextTurn();
      while (!progress.settled) {
        const id = earliest();
        if (id === undefined) await nextTurn();
        else await fireUpTo(pending.get(id)?.dueMs ?? nowMs);
      }
      return work;
    },
    stepWallClock: (byMs) => void (wallOffsetMs += byMs),
    get pendingTimers() {
      return pending.size;
    },
  };
}
