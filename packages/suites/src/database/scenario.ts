import { environment } from '@holdfast/foundation';
import { expect, test } from '@jest/globals';
import { record } from '@holdfast/report';
import type { StageMode } from '@holdfast/stage';

export const FAMILY = 'database-recovery';

interface DatabaseScenarioSpec {
  /** The promise as a sentence: the name of the test and of the row in the report. */
  readonly promise: string;
  readonly fault: string;
  /**
   * Whether a partial run, in containers, includes the scenario: set for faults of the server itself, not for
   * faults of the pool or of the wire, nor for a second cause of the same failure.
   */
  readonly inContainers?: boolean;
  /** The time limit in milliseconds, where a flag may ask for many repetitions. Default: that of every test. */
  readonly withinMs?: number;
}

export interface DatabaseOutcome {
  /** Calls made, or writes acknowledged. */
  readonly accepted: number;
  /** Calls served, or acknowledged writes found. */
  readonly delivered: number;
  /** Writes found more than once. */
  readonly duplicated?: number;
  readonly detectedAfterMs?: number;
  readonly lastedMs?: number;
  /** Time from the server accepting again until the last caller was served. */
  readonly recoveredAfterMs?: number;
  readonly seed?: number;
  readonly note?: string;
}

/**
 * Whether only the scenarios marked for containers run: the same job runs all of them on local processes, and the
 * behavior of the pool does not depend on where the server runs.
 */
export const isPart: boolean =
  environment['HOLDFAST_STAGE'] === 'docker' && environment['HOLDFAST_DOCKER_PART'] === '1';

const TEST_TIMEOUT_MS = 120_000;

/** The time limit of a scenario whose repetitions an environment variable sets. @param onceMs limit of one repetition. */
export function withinMsOf(runs: number, onceMs: number): number {
  return TEST_TIMEOUT_MS + runs * onceMs;
}

/** What every fixture of a scenario has. */
interface ScenarioFixture {
  readonly mode: StageMode;
  close(): Promise<void>;
}

/**
 * Runs one row of the family's table on separate servers and records the measurements. Requires of every scenario
 * that no accepted work is lost and none is duplicated.
 */
export function scenario<Fixture extends ScenarioFixture>(
  plan: DatabaseScenarioSpec,
  open: () => Promise<Fixture>,
  run: (fixture: Fixture) => Promise<DatabaseOutcome>,
): void {
  const runAndRecord = async (): Promise<void> => {
    const fixture = await open();
    try {
      const { duplicated = 0, ...outcome } = await run(fixture);
      const lost = outcome.accepted - outcome.delivered;
      record({
        ...outcome,
        family: FAMILY,
        scenario: plan.promise,
        fault: plan.fault,
        stage: fixture.mode,
        lost,
        duplicated,
      });
      expect({ lost, duplicated }).toEqual({ lost: 0, duplicated: 0 });
    } finally {
      await fixture.close();
    }
  };
  // A partial run skips the scenarios that are not marked for it.
  const testOrSkip = isPart && plan.inContainers !== true ? test.skip : test;
  testOrSkip(plan.promise, runAndRecord, plan.withinMs);
}
