import { afterEach, expect, test } from '@jest/globals';
import { type LoadSample, type Moment, type ScenarioRecord, record } from '@holdfast/report';
import { type RedisFixture, openRedisFixture } from './redis-fixture.ts';
import type { QueueFixture } from './queue-fixture.ts';
import { watchPace } from './host-pace.ts';
import type { LedgerResult } from './ledger.ts';

interface ScenarioSpec {
  /** The promise as a sentence: the name of the test and of the row in the report. */
  readonly promise: string;
  readonly fault: string;
  /** redis.conf settings. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether the server itself may lose jobs, because it has no persistence. */
  readonly mayForget?: boolean;
  /** The published time from the server's recovery to the first job handled. Default {@link RECOVERY_MS}. */
  readonly recoveryMs?: number;
  /** The published time from the fault to its detection. Default: not checked. */
  readonly detectionMs?: number;
}

/**
 * The longest time from a server's return to the first delivery that the results publish is 1 s: the ceiling of the
 * backoff, and what a server needs that has just started. Beside other tests its disk takes as long again. A run may
 * take twice as long.
 */
const RECOVERY_MS = 2_000;
/** However slow the machine: more would let a recovery that takes several times as long pass. */
const MAX_SLOWNESS = 4;

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
  readonly load?: readonly LoadSample[];
}

/** Closed after the test, also after one that took too long: its load would go on beside all the others. */
const opened: QueueFixture[] = [];

afterEach(async () => {
  for (const fixture of opened.splice(0)) await fixture.close();
});

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
    opened.push(fixture);
    const pace = watchPace();
    const outcome = await run(fixture).catch(async (error: unknown) => {
      record({ ...headOf(family, plan, fixture), ...(await serverOf(fixture, true)) });
      throw error;
    });
    const slowness = pace.stop();
    const { lost, duplicated, outOfOrder } = outcome.verdict;
    const isBroken = lost.length + duplicated.length + outOfOrder.length > 0;
    const server = await serverOf(fixture, isBroken);
    record({ ...rowOf(family, plan, fixture, outcome), ...server });
    expectWithinPublished(plan, outcome, slowness);
    const forgotten = plan.mayForget === true ? (outcome.forgotten ?? []) : [];
    expect({
      lost: lost.filter((job) => !forgotten.includes(job)),
      duplicated,
      outOfOrder,
    }).toEqual({ lost: [], duplicated: [], outOfOrder: [] });
  });
}

/** What the results publish in milliseconds is kept within a factor of two, on a machine as slow as this one. */
export function expectWithinPublished(
  {
    recoveryMs = RECOVERY_MS,
    detectionMs = Infinity,
  }: Pick<ScenarioSpec, 'recoveryMs' | 'detectionMs'>,
  { recoveredAfterMs = 0, detectedAfterMs = 0 }: ScenarioOutcome,
  slowness: number,
): void {
  const factor = 2 * Math.min(slowness, MAX_SLOWNESS);
  expect(recoveredAfterMs).toBeLessThanOrEqual(recoveryMs * factor);
  expect(detectedAfterMs).toBeLessThanOrEqual(detectionMs * factor);
}

/** The version of the server, and of a failed scenario what the server has printed. */
async function serverOf(
  { log }: QueueFixture,
  hasFailed: boolean,
): Promise<Pick<ScenarioRecord, 'logs' | 'versions'>> {
  const text = await log?.().catch(() => undefined);
  if (text === undefined) return {};
  const version = /version=([\w.]+)/.exec(text)?.[1];
  return {
    ...(version === undefined ? {} : { versions: { redis: version } }),
    ...(hasFailed ? { logs: [{ server: 'redis', text }] } : {}),
  };
}

function headOf(
  family: string,
  { promise, fault }: ScenarioSpec,
  { mode }: QueueFixture,
): ScenarioRecord {
  return { family, scenario: promise, fault, stage: mode };
}

function rowOf(
  family: string,
  plan: ScenarioSpec,
  fixture: QueueFixture,
  { verdict, forgotten = [], ...measured }: ScenarioOutcome,
): ScenarioRecord {
  return {
    ...measured,
    ...headOf(family, plan, fixture),
    accepted: verdict.accepted,
    delivered: verdict.delivered,
    lost: verdict.lost.length - forgotten.length,
    lostByServer: forgotten.length,
    duplicated: verdict.duplicated.length,
    outOfOrder: verdict.outOfOrder.length,
  };
}
