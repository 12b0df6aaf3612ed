/* oxlint-disable jest/expect-expect -- it declares the tests of others */
import { test } from '@jest/globals';
import { type ScenarioRecord, record } from '@holdfast/report';

type Measured = Omit<ScenarioRecord, 'family' | 'scenario' | 'fault' | 'stage'>;

/** Runs one row of the family's table and records it: what is promised, and under which fault. */
export function scenario(
  { promise, fault }: { readonly promise: string; readonly fault: string },
  run: () => Promise<Measured>,
): void {
  test(promise, async () => {
    const measured = await run();
    record({ ...measured, family: 'operations', scenario: promise, fault, stage: 'local' });
  });
}
