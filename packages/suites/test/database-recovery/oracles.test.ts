import { expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { LedgerTable } from '../../src/database/ledger-table.ts';
import { DeadlineMonitor } from '../../src/database/deadline-monitor.ts';

test('the audit of a ledger finds lost, duplicated and wrongly denied entries', async () => {
  const ledger = new LedgerTable();
  const done = async (): Promise<void> => undefined;
  const failing = (outcome: string) => (): Promise<never> =>
    Promise.reject(Object.assign(new Error(outcome), { outcome }));
  await ledger.write(done);
  await ledger.write(done);
  await ledger.write(done);
  await ledger.write(failing('not-applied'));
  await ledger.write(failing('not-applied'));
  await ledger.write(failing('unknown'));
  await ledger.write(failing('unknown'));
  const rows = [
    { entry: 1, times: 1 },
    { entry: 2, times: 2 },
    { entry: 4, times: 1 },
    { entry: 6, times: 1 },
  ];
  expect(await ledger.audit(async () => rows)).toEqual({
    acknowledged: 3,
    lost: [3],
    duplicated: [2],
    denied: [4],
    unknown: { written: 2, there: 1 },
  });
});

test('a call that is pending long after its deadline counts as late', async () => {
  const punctuality = new DeadlineMonitor();
  const gate = Promise.withResolvers<undefined>();
  const calling = punctuality.watch(1, () => gate.promise);
  while (punctuality.violations().length === 0)
    await new Promise((resolve) => setImmediate(resolve));
  expect(punctuality.violations()).toHaveLength(1);
  gate.resolve(undefined);
  await calling;
  expect(punctuality.violations()).toHaveLength(1);
  // Timers may fire slightly early.
  expect(punctuality.latestMs()).toBeGreaterThan(40);
});

test('a call that is late because the whole process was late does not count as late', async () => {
  const punctuality = new DeadlineMonitor();
  const calling = punctuality.watch(
    1,
    () => new Promise<void>((resolve) => systemClock.schedule(1, resolve)),
  );
  const beganMs = systemClock.now();
  while (systemClock.now() - beganMs < 80);
  await calling;
  expect(punctuality.latestMs()).toBeGreaterThan(50);
  expect(punctuality.violations()).toEqual([]);
});
