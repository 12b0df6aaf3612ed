/* oxlint-disable jest/expect-expect -- it declares the tests of others */
import { test } from '@jest/globals';
import { type ScenarioRecord, record } from '@holdfast/report';

type Measured = Omit<ScenarioRecord, 'family' | 'scenario' | 'fault' | 'stage'>;

/** Takes what is to be closed after the scenario, the last one first, and returns it. */
type Use = <T extends AsyncDisposable>(resource: T) => T;

/** Runs one row of the family's table and records it: what is promised, and under which fault. */
export function scenario(
  { promise, fault }: { readonly promise: string; readonly fault: string },
  run: (use: Use) => Promise<Measured>,
): void {
  test(promise, async () => {
    const used: AsyncDisposable[] = [];
    try {
      const measured = await run((resource) => {
        used.push(resource);
        return resource;
      });
      record({ ...measured, family: 'operations', scenario: promise, fault, stage: 'local' });
    } finally {
      for (const resource of used.toReversed()) await resource[Symbol.asyncDispose]();
    }
  });
}
