/* oxlint-disable jest/expect-expect -- it declares the tests of others, which have to assert */
import { expect, test } from '@jest/globals';
import { type ScenarioRecord, record } from '@holdfast/report';
import type { StageMode } from '@holdfast/stage';

export interface CatalogPlan {
  /** The promise as a sentence: the name of the test and of the row in the report. */
  readonly promise: string;
  readonly fault: string;
}

export type CatalogMeasured = Partial<
  Omit<ScenarioRecord, 'family' | 'scenario' | 'fault' | 'stage'>
>;

/** Runs one row of a table of the catalog's families, and records it. */
export function catalogScenario(
  family: 'catalog-sync' | 'catalog-fallback' | 'catalog-concurrent' | 'catalog-chaos',
  mode: () => StageMode,
  { promise, fault }: CatalogPlan,
  run: () => Promise<CatalogMeasured>,
  withinMs?: number,
): void {
  const runAndRecord = async (): Promise<void> => {
    expect.hasAssertions();
    const measured = await run();
    record({ ...measured, family, scenario: promise, fault, stage: mode() });
  };
  test(promise, runAndRecord, withinMs);
}
