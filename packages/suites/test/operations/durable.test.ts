import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { environment, systemClock } from '@holdfast/foundation';
import type { DurableRunner } from '@holdfast/operations';
import { createDbosRunner } from '@holdfast/operations/dbos';
import { STAGE_OPEN_TIMEOUT_MS, type Stage, openStage } from '@holdfast/stage';
import { Pool } from 'pg';
import { watchPace } from '../../src/host-pace.ts';
import { type ExecutorProcess, startExecutor } from '../../src/operations/executor.ts';
import { waitUntil } from '../../src/wait-until.ts';

/** A few by default; `HOLDFAST_RUNS=200` for all. */
const RUNS = Number(environment['HOLDFAST_RUNS'] ?? 8);
const FREEZES_PER_KILL = 0.25;
const EXECUTORS = 3;
const LEASE_MS = 1_500;
const POLL_MS = 100;
/** What is published: a lease, and a second. */
const TAKEOVER_MS = LEASE_MS + 1_000;
const ROUND_MS = 30_000;

let stage: Stage<{ postgres: true }>;
let databaseUrl = '';
let pool: Pool;
let client: DurableRunner;
let executors: ExecutorProcess[] = [];

const idle = { work: async () => new Promise<null>(() => {}) };

beforeAll(async () => {
  stage = await openStage({ postgres: true });
  databaseUrl = (await stage.postgres.createDatabase()).url;
  pool = new Pool({ connectionString: databaseUrl, max: 4 });
  await pool.query('create table prepared (run_id text)');
  await pool.query(
    "create table effects (run_id text primary key, fence bigint, applied bigint[] default '{}')",
  );
  // It starts runs and asks for them; the others execute them.
  const options = { databaseUrl, leaseMs: LEASE_MS, pollMs: POLL_MS };
  client = await createDbosRunner({ ...options, functions: idle, executes: false });
}, STAGE_OPEN_TIMEOUT_MS);

afterEach(async () => {
  await Promise.all(executors.map(async (executor) => executor.kill()));
  executors = [];
});

afterAll(async () => {
  await client.close();
  await pool.end();
  await stage.close();
});

function addExecutor(): ExecutorProcess {
  const executor = startExecutor({ databaseUrl, leaseMs: LEASE_MS, pollMs: POLL_MS });
  executors.push(executor);
  return executor;
}

const isOpen = ({ reports }: ExecutorProcess): boolean => reports.length > 0;

/** The executor that has come to the run's effect, by the lowest fence above this one. */
async function reached(runId: string, aboveFence: bigint): Promise<ReturnType<typeof reachedOf>> {
  await waitUntil(() => reachedOf(runId, aboveFence) !== undefined, ROUND_MS);
  return reachedOf(runId, aboveFence);
}

function reachedOf(
  runId: string,
  aboveFence: bigint,
):
  | { readonly executor: ExecutorProcess; readonly fence: bigint; readonly atMs: number }
  | undefined {
  for (const executor of executors) {
    for (const { kind, runId: id, fence, atMs } of executor.reports) {
      if (kind === 'reached' && id === runId && BigInt(fence) > aboveFence) {
        return { executor, fence: BigInt(fence), atMs };
      }
    }
  }
  return undefined;
}

async function begin(runId: string): Promise<NonNullable<ReturnType<typeof reachedOf>>> {
  await waitUntil(() => executors.length >= EXECUTORS && executors.every(isOpen));
  await pool.query('insert into effects (run_id, fence) values ($1, 0)', [runId]);
  await client.start('work', null, { runId });
  const first = await reached(runId, 0n);
  if (first === undefined) throw new Error(`nobody executes ${runId}`);
  return first;
}

/** The effect was applied once, by the last executor, and the finished step was done once. */
async function expectSound(runId: string, fence: bigint): Promise<void> {
  expect(await client.result(runId)).toBe(String(fence));
  const { rows } = await pool.query('select applied from effects where run_id = $1', [runId]);
  expect(rows).toEqual([{ applied: [String(fence)] }]);
  const prepared = await pool.query('select run_id from prepared where run_id = $1', [runId]);
  expect(prepared.rowCount).toBe(1);
}

test(
  `a run of an executor that is killed goes on in another within a lease and a second, at the interrupted step, in ${RUNS} of ${RUNS} rounds`,
  async () => {
    while (executors.length < EXECUTORS) addExecutor();
    for (let round = 0; round < RUNS; round += 1) {
      const runId = `killed-${round}`;
      const first = await begin(runId);
      const pace = watchPace();
      const killedMs = systemClock.now();
      await first.executor.kill();
      executors = executors.filter((executor) => executor !== first.executor);
      const second = await reached(runId, first.fence);
      const tookMs = ((second?.atMs ?? Infinity) - killedMs) / pace.stop();
      expect(tookMs).toBeLessThan(TAKEOVER_MS);
      second?.executor.allow(runId);
      await expectSound(runId, second?.fence ?? 0n);
      addExecutor();
    }
  },
  RUNS * ROUND_MS,
);

const FREEZES = Math.ceil(RUNS * FREEZES_PER_KILL);

test(
  `the resource refuses the effect of an executor that was frozen and thawed, in ${FREEZES} of ${FREEZES} rounds`,
  async () => {
    while (executors.length < EXECUTORS) addExecutor();
    for (let round = 0; round < FREEZES; round += 1) {
      const runId = `frozen-${round}`;
      const first = await begin(runId);
      first.executor.freeze();
      const second = await reached(runId, first.fence);
      const isThawedFirst = round % 2 === 0;
      if (!isThawedFirst) {
        second?.executor.allow(runId);
        await expectSound(runId, second?.fence ?? 0n);
      }
      first.executor.thaw();
      first.executor.allow(runId);
      const { reports } = first.executor;
      const ofRun = (kind: string): boolean =>
        reports.some((report) => report.kind === kind && report.runId === runId);
      await waitUntil(() => ofRun('refused') || ofRun('applied'));
      expect(ofRun('applied') ? 'a zombie effect' : 'refused').toBe('refused');
      if (isThawedFirst) second?.executor.allow(runId);
      await expectSound(runId, second?.fence ?? 0n);
    }
  },
  RUNS * ROUND_MS,
);
