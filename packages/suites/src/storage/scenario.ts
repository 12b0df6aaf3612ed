import { afterEach, expect, test } from '@jest/globals';
import { record } from '@holdfast/report';
import { watchPace } from '../host-pace.ts';
import { type ScenarioOutcome, expectWithinPublished } from '../scenario.ts';
import { type Clock, systemClock } from '@holdfast/foundation';
import { type StorageFixture, openStorageFixture } from './storage-fixture.ts';

/** Closed after the test, also after one that took too long: its load would go on beside all the others. */
const opened: StorageFixture[] = [];

afterEach(async () => {
  for (const fixture of opened.splice(0)) await fixture.close();
});

/** Runs one row of the family's table on separate servers: no accepted write is lost, and none is undone. */
export function scenario(
  family: string,
  plan: {
    readonly promise: string;
    readonly fault: string;
    /** How far the servers' clocks are ahead of this machine's, in milliseconds. Default 0. */
    readonly serversAheadMs?: number;
    /** The published time from the end of the fault to the first write delivered. Default 1 000. */
    readonly recoveryMs?: number;
    /** The published time from the fault to its detection. Default: not checked. */
    readonly detectionMs?: number;
  },
  run: (fixture: StorageFixture) => Promise<ScenarioOutcome>,
): void {
  test(plan.promise, async () => {
    const fixture = await openStorageFixture(aheadBy(plan.serversAheadMs ?? 0));
    opened.push(fixture);
    const pace = watchPace();
    const outcome = await run(fixture);
    const slowness = pace.stop();
    const { verdict, forgotten: _, ...measured } = outcome;
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
    expectWithinPublished(plan, outcome, slowness);
    expect({ lost, duplicated, outOfOrder }).toEqual({
      lost: [],
      duplicated: [],
      outOfOrder: [],
    });
  });
}

function aheadBy(aheadMs: number): Clock {
  return { ...systemClock, epochMs: () => systemClock.epochMs() + aheadMs };
}
