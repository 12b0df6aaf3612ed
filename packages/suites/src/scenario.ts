import { expect, test } from '@jest/globals';
import { type Moment, type ScenarioRecord, record } from '@holdfast/report';
import { type RedisFixture, openRedisFixture } from './redis-fixture.ts';
import type { QueueFixture } from './queue-fixture.ts';
import type { LedgerResult } from './ledger.ts';

interface ScenarioSpec {
  /** The promise as a sentence: the name of the test and of the row in the report. */
  readonly promise: string;
  readonly fault: string;
  /** redis.conf settings. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether the server itself may lose jobs, because it has no persistence. */
  readonly mayForget?: boolean;
}

export interface ScenarioOutcome {
  readonly verdict: LedgerResult;
  /** Time from the fault until the queue detected it. */
  readonly detectedAfterMs?: number;
  /** Time from the server's recovery to the first job handled after it. */
  readonly recoveredAfterMs?: number;
  /** Jobs that the server acknowledged and lost, as reported by the queue. */
  readonly forgotten?: readonly number[];
  /** Time from the fault to the server's recovery. */
  readonly lastedMs?: number;
  readonly note?: string;
  readonly timeline?: readonly Moment[];
}

type Open<F> = (settings: Readonly<Record<string, string>>) => Promise<F>;

/**
 * Runs one row of the family's table on a separate server, checks the promise that all scenarios have in
 * common, and records the measurements.
 */
export function scenario(
  family: string,
  plan: ScenarioSpec,
  run: (fixture: RedisFixture) => Promise<ScenarioOutcome>,
): void;
/** The same on another topology. */
export function scenario<F extends QueueFixture>(
  family: string,
  plan: ScenarioSpec,
  run: (fixture: F) => Promise<ScenarioOutcome>,
  open: Open<F>,
): void;
export function scenario(
  family: string,
  plan: ScenarioSpec,
  run: (fixture: RedisFixture) => Promise<ScenarioOutcome>,
  open: Open<RedisFixture> = openRedisFixture,
): void {
  test(plan.promise, async () => {
    const fixture = await open(plan.settings ?? {});
    try {
      const outcome = await run(fixture);
      record(rowOf(family, plan, fixture, outcome));
      const { lost, duplicated, outOfOrder } = outcome.verdict;
      const forgotten = plan.mayForget === true ? (outcome.forgotten ?? []) : [];
      expect({
        lost: lost.filter((job) => !forgotten.includes(job)),
        duplicated,
        outOfOrder,
      }).toEqual({ lost: [], duplicated: [], outOfOrder: [] });
    } finally {
      await fixture.close();
    }
  });
}

function rowOf(
  family: string,
  { promise, fault }: ScenarioSpec,
  { mode }: QueueFixture,
  { verdict, forgotten = [], ...measured }: ScenarioOutcome,
): ScenarioRecord {
  return {
    ...measured,
    family,
    scenario: promise,
    fault,
    stage: mode,
    accepted: verdict.accepted,
    delivered: verdict.delivered,
    lost: verdict.lost.length - forgotten.length,
    lostByServer: forgotten.length,
    duplicated: verdict.duplicated.length,
    outOfOrder: verdict.outOfOrder.length,
  };
}
