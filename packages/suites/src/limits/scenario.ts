/* oxlint-disable jest/no-disabled-tests, jest/expect-expect -- it declares the tests of others; a name says why one is skipped */
import { test } from '@jest/globals';
import { type ScenarioRecord, record } from '@holdfast/report';

export const FAMILY = 'resource-limits';

interface LimitsScenarioSpec {
  /** The promise as a sentence: the name of the test and of the row in the report. */
  readonly promise: string;
  readonly fault: string;
  /** Why this machine cannot inject the fault: the test is skipped, and its name says so. */
  readonly obstacle?: string | undefined;
}

type Measured = Omit<ScenarioRecord, 'family' | 'scenario' | 'fault' | 'stage'>;

/** Runs one row of the family's table and records it. */
export function scenario(
  { promise, fault, obstacle }: LimitsScenarioSpec,
  run: () => Promise<Measured>,
): void {
  if (obstacle !== undefined) {
    // The name carries the obstacle.
    test.skip(`${promise} (${obstacle})`, () => undefined);
    return;
  }
  test(promise, async () => {
    record({ ...(await run()), family: FAMILY, scenario: promise, fault, stage: 'local' });
  });
}
