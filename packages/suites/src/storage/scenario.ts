import { expect, test } from '@jest/globals';
import { record } from '@holdfast/report';
import type { ScenarioOutcome } from '../scenario.ts';
import { type Clock, systemClock } from '@holdfast/foundation';
import { type StorageFixture, openStorageFixture } from './storage-fixture.ts';

/** Runs one row of the family's table on separate servers: no accepted write is lost, and none is undone. */
export function scenario(
  family: string,
  plan: {
    readonly promise: string;
    readonly fault: string;
    /** How far the servers' clocks are ahead of this machine's, in milliseconds. Default 0. */
    readonly serversAheadMs?: number;
  },
  run: (fixture: StorageFixture) => Promise<ScenarioOutcome>,
): void {
  test(plan.promise, async () => {
    const fixture = await openStorageFixture(aheadBy(plan.serversAheadMs ?? 0));
    try {
      const { verdict, forgotten: _, ...measured } = await run(fixture);
      record({
        ...measured,
        family,
        scenario: plan.promise,
        fault: plan.fault,
        stage: fixture.mode,
        accepted: verdict.accepted,
        delivered: verdict.delivered,
        lost: verdict.lost.length,
        duplicated: verdict.duplicated.length,
        outOfOrder: verdict.outOfOrder.length,
      });
      const { lost, duplicated, outOfOrder } = verdict;
      expect({ lost, duplicated, outOfOrder }).toEqual({
        lost: [],
        duplicated: [],
        outOfOrder: [],
      });
    } finally {
      await fixture.close();
    }
  });
}

function aheadBy(aheadMs: number): Clock {
  return { ...systemClock, epochMs: () => systemClock.epochMs() + aheadMs };
}
