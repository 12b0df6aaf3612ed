import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { DrillReport } from '@holdfast/operations/backup';
import { scheduleDrills } from '@holdfast/operations/drill-schedule';

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);
const report: DrillReport = {
  setId: 'set',
  rpoMs: 1,
  rtoMs: 2,
  tables: 3,
  rows: 4,
  damaged: [],
};

test('drills run each day, and a service whose drills fail or no longer run is overdue', async () => {
  const clock = createFakeClock(START_MS);
  let runs = 0;
  let failure: Error | undefined;
  const reports: DrillReport[] = [];
  const failures: unknown[] = [];
  const drills = scheduleDrills({
    clock,
    schedule: '0 4 * * *',
    drill: {
      async run() {
        runs += 1;
        if (failure !== undefined) throw failure;
        return report;
      },
    },
    onReport: (each) => reports.push(each),
    onFailure: (error) => failures.push(error),
  });
  expect(drills.state()).toMatchObject({ nextAtMs: START_MS + DAY_MS / 6, isOverdue: false });
  await clock.advance(3 * DAY_MS);
  expect(runs).toBe(3);
  expect(reports).toEqual([report, report, report]);
  failure = new Error('no set is proven');
  await clock.advance(3 * DAY_MS);
  expect(failures).toEqual([failure, failure, failure]);
  expect(drills.state()).toMatchObject({
    lastReport: report,
    lastFailure: failure,
    isOverdue: true,
  });
  drills.close();
  await clock.advance(3 * DAY_MS);
  expect(runs).toBe(6);
  expect(clock.pendingTimers).toBe(0);
});

test('a schedule that never comes, and one that is none, are refused', () => {
  const drill = { run: async () => report };
  for (const schedule of ['0 0 30 2 *', 'daily', '99 * * * *']) {
    expect(() => scheduleDrills({ drill, schedule })).toThrow(/schedule must be a pattern/);
  }
});
