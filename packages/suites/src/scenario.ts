import { expect, test } from '@jest/globals';
import { type Moment, type ScenarioRecord, record } from '@holdfast/report';
import { type RedisFixture, openRedisFixture } from './redis-fixture.ts';
import type { QueueFixture } from './queue-fixture.ts';
import type { LedgerResult } from './ledger.ts';

interface ScenarioSpec {
  /** A promise, as a sentence: it names the test and the row of the report. */
  readonly promise: string;
  readonly fault: string;
  /** redis.conf settings. */
  readonly settings?: Readonly<Record<string, string>>;
  /** How many jobs the server itself is allowed to lose: none, unless it keeps nothing. */
  readonly mayForget?: boolean;
}

export interface ScenarioOutcome {
  readonly verdict: LedgerResult;
  /** From the fault to the moment the queue knew. */
  readonly detectedAfterMs?: number;
  /** From the moment the server was whole again to the first job handled after that. */
  readonly recoveredAfterMs?: number;
  /** Jobs the server acknowledged and forgot, as the queue reported it. */
  readonly forgotten?: readonly number[];
  /** From the fault to the moment the server was whole again. */
  readonly lastedMs?: number;
  readonly note?: string;
  readonly timeline?: readonly Moment[];
}

type Open<F> = (settings: Readonly<Record<string, string>>) => Promise<F>;

/**
 * One row of the family's table: plays the scenario on a server of its own, holds it to the promise every
 * scenario has in common, and records what was measured.
 */
export function scenario(
  family: string,
  plan: ScenarioSpec,
  run: (fixture: RedisFixture) => Promise<ScenarioOutcome>,
): void;
/** As above, on servers of another form. */
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
