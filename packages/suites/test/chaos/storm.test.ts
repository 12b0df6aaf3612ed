import { expect, test } from '@jest/globals';
import { type FleetStorm, fleetStorm, withstand } from '@holdfast/faults';
import { record } from '@holdfast/report';
import { type Balance, type Effect, runLedgeredQueue, untilWritten } from './ledgered-queue.ts';

/** `HOLDFAST_SEED=7` runs only that storm; `HOLDFAST_RUNS=20` runs 20 storms, from the first seed on. */
const firstSeed = Number(process.env['HOLDFAST_SEED'] ?? 1);
const runs = Number(process.env['HOLDFAST_RUNS'] ?? ('HOLDFAST_SEED' in process.env ? 1 : 2));
const seeds = Array.from({ length: runs }, (_, index) => firstSeed + index);
/** How many runs may be spent on reducing a failing storm. */
const maxRuns = Number(process.env['HOLDFAST_SHRINK_RUNS'] ?? 8);
const DURATION_MS = 5_000;
const TIMEOUT_MS = 300_000;

const replayOf = (seed: number): string => `HOLDFAST_SEED=${seed} node --run test:chaos`;
const drawn = (seed: number): FleetStorm =>
  fleetStorm(seed, {
    servers: ['redis', 'postgres'],
    durationMs: DURATION_MS,
    maxFaults: 10,
    maxFaultMs: 1_500,
  });

function isRefusal(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && error.code === 'ECONNREFUSED'
  );
}

async function everyEffectStands(storm: FleetStorm, effect: Effect): Promise<Balance> {
  const balance = await runLedgeredQueue(storm, effect);
  const { accepted, missing, outOfOrder } = balance;
  expect({ missing, outOfOrder }).toEqual({ missing: [], outOfOrder: [] });
  expect(accepted).toBeGreaterThan((storm.durationMs / 1_000) * 100);
  return balance;
}

test.each(seeds)(
  'every job accepted in storm %d over Redis and Postgres has its effect, once and in order',
  async (seed) => {
    const weather = drawn(seed);
    const balances: Balance[] = [];
    const run = async (storm: FleetStorm): Promise<void> => {
      balances.push(await everyEffectStands(storm, untilWritten));
    };
    await withstand(weather, run, { maxRuns, replay: replayOf(seed) });
    expect(balances).toHaveLength(1);
    for (const { accepted, missing, outOfOrder, reruns, settledAfterMs } of balances) {
      record({
        family: 'chaos',
        scenario: `every job accepted in storm ${seed} over Redis and Postgres has its effect, once and in order`,
        fault: weather.faults.map(({ server, fault }) => `${server} ${fault.kind}`).join(', '),
        stage: 'local',
        seed,
        lastedMs: weather.durationMs,
        recoveredAfterMs: settledAfterMs,
        accepted,
        delivered: accepted - missing.length,
        lost: missing.length,
        duplicated: 0,
        outOfOrder: outOfOrder.length,
        note: `handlers run again: ${reruns}; again by ${replayOf(seed)}`,
      });
    }
  },
  TIMEOUT_MS,
);

test(
  'a handler that gives up on its effect is detected, and the storm is reduced to the steps that cause it',
  async () => {
    /** It treats an unavailable database as a success. */
    const giveUp: Effect = async (write, signal) => {
      const unlessRefused = (): Promise<unknown> =>
        write().catch((error: unknown) => {
          if (!isRefusal(error)) throw error;
        });
      await untilWritten(unlessRefused, signal);
    };
    const weather: FleetStorm = {
      seed: 0,
      durationMs: 1_500,
      faults: [
        {
          atMs: 100,
          forMs: 400,
          server: 'redis',
          fault: { kind: 'latency', options: { latencyMs: 5 } },
        },
        {
          atMs: 200,
          forMs: 400,
          server: 'redis',
          fault: { kind: 'slice', options: { sliceBytes: 100 } },
        },
        { atMs: 500, forMs: 500, server: 'postgres', fault: { kind: 'kill' } },
        {
          atMs: 700,
          forMs: 400,
          server: 'redis',
          fault: { kind: 'slowClose', options: { delayMs: 5 } },
        },
      ],
    };
    const run = async (storm: FleetStorm): Promise<void> => {
      const { missing } = await runLedgeredQueue(storm, giveUp);
      expect(missing).toEqual([]);
    };
    const failure = withstand(weather, run, { maxRuns: 4, replay: replayOf(0) });
    await expect(failure).rejects.toMatchObject({
      code: 'FAULTS_STORM_FAILED',
      message: expect.stringContaining('HOLDFAST_SEED=0 node --run test:chaos'),
      shrunk: { faults: [{ server: 'postgres', fault: { kind: 'kill' } }] },
    });
  },
  TIMEOUT_MS,
);
