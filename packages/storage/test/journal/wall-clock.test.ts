import { expect, test } from '@jest/globals';
import { AWAY, LOST, openTestStorage, textAt } from '../open-storage.ts';

const HOUR_MS = 3_600_000;

test.each([HOUR_MS, -HOUR_MS])(
  'a wall clock that steps by %i ms during an outage delays no retry, and ends no wait early',
  async (byMs) => {
    const { storage, clock, primary, mirror } = await openTestStorage({ acknowledgeWithinMs: 0 });
    const attempts: number[] = [];
    primary.intercept = ({ kind }) => {
      if (kind === 'put') attempts.push(clock.now());
      return { before: AWAY };
    };
    await storage.upload('k', 'v');
    await clock.advance(1_000);
    clock.stepWallClock(byMs);
    const before = attempts.length;
    await clock.advance(60_000);
    expect(attempts.length - before).toBeGreaterThanOrEqual(2);
    // Backoff and the open circuit: a step does not make it hammer the server either.
    expect(attempts.length - before).toBeLessThan(60);
    clock.stepWallClock(-2 * byMs);
    primary.intercept = () => undefined;
    const startMs = clock.now();
    expect(await clock.settle(storage.flush({ deadlineMs: 600_000 }))).toBe(0);
    expect(clock.now() - startMs).toBeLessThan(60_000);
    expect([textAt(primary, 'k'), textAt(mirror, 'k')]).toEqual(['v', 'v']);
    await storage.close();
  },
);

test.each([HOUR_MS, -HOUR_MS])(
  'the time in which a lost write may still be applied is not cut or stretched by a step of %i ms',
  async (byMs) => {
    const lateWriteMs = 10_000;
    const { storage, clock, primary } = await openTestStorage({
      acknowledgeWithinMs: 0,
      lateWriteMs,
    });
    let lost = 0;
    primary.intercept = ({ kind }) => {
      if (kind !== 'put' || lost > 0) return undefined;
      lost += 1;
      return { before: LOST };
    };
    await storage.upload('k', 'old');
    await clock.advance(10);
    const doubtMs = clock.now();
    await storage.upload('k', 'new');
    clock.stepWallClock(byMs);
    await clock.advance(lateWriteMs - 1_000);
    // Not before the lost one can no longer undo it.
    expect(textAt(primary, 'k')).toBeUndefined();
    while (textAt(primary, 'k') === undefined) await clock.advance(100);
    expect(clock.now() - doubtMs).toBeLessThanOrEqual(2 * lateWriteMs);
    await clock.settle(storage.flush({ deadlineMs: 600_000 }));
    expect(textAt(primary, 'k')).toBe('new');
    await storage.close();
  },
);
