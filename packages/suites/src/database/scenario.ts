import { environment } from '@holdfast/foundation';
import { expect, test } from '@jest/globals';
import { record } from '@holdfast/report';
import type { StageMode } from '@holdfast/stage';

export const FAMILY = 'database-recovery';

interface DatabaseScenarioSpec {
  /** A promise, as a sentence: it names the test and the row of the report. */
  readonly promise: string;
  readonly fault: string;
  /**
   * Also played where only a part is, in containers: what is done to the server itself. Left out are what is a
   * matter of the pool or of the wire alone, and second ways to the same harm.
   */
  readonly inContainers?: boolean;
  /** How long it may take at the most, in milliseconds, where a flag may ask for much. Default: as long as any test. */
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
  /** From the moment the server accepts again to the last caller that was served. */
  readonly recoveredAfterMs?: number;
  readonly seed?: number;
  readonly note?: string;
}

/**
 * In containers only those are played that ask for it: so a run is told that has local processes beside it. What a
 * pool does is the same whatever the server runs in.
 */
export const isPart: boolean =
  environment['HOLDFAST_STAGE'] === 'docker' && environment['HOLDFAST_DOCKER_PART'] === '1';

const TEST_TIMEOUT_MS = 120_000;

/** For a scenario that plays something as often as an environment variable says. @param onceMs how long once may take. */
export function withinMsOf(runs: number, onceMs: number): number {
  return TEST_TIMEOUT_MS + runs * onceMs;
}

/** What a scenario stands on. */
interface ScenarioFixture {
  readonly mode: StageMode;
  close(): Promise<void>;
}

/**
 * One row of the family's table: plays the scenario on servers of its own and records what was measured.
 * Nothing accepted is missing and nothing is there twice, in all of them.
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
  // Left out where only a part is asked for, and this is not of it.
  const meant = isPart && plan.inContainers !== true ? test.skip : test;
  meant(plan.promise, runAndRecord, plan.withinMs);
}
