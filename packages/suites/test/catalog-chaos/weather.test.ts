import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { type FleetStorm, fleetStorm, playFleetStorm, withstand } from '@holdfast/faults';
import { sleep, systemClock } from '@holdfast/foundation';
import { catalogScenario } from '../../src/catalog/catalog-scenario.ts';
import { watchPace } from '../../src/host-pace.ts';
import {
  type Sightings,
  type WeatheredCatalog,
  openWeatheredCatalog,
} from '../../src/catalog/weathered-catalog.ts';

/** `HOLDFAST_SEED=7` plays only that storm; `HOLDFAST_RUNS=20` plays 20, from the first seed on. */
const FIRST_SEED = Number(process.env['HOLDFAST_SEED'] ?? 1);
const RUNS = Number(process.env['HOLDFAST_RUNS'] ?? ('HOLDFAST_SEED' in process.env ? 1 : 2));
const STORM_MS = 4_000;
const PARTITION_MS = 2_000;
const ROUNDS = 5;
/** However slow the machine: more would let a recovery that takes several times as long pass. */
const MAX_SLOWNESS = 4;
/** The published time from the end of the last fault to a generation of the API, in both processes; a run may take twice as long. */
const RECOVERY_MS = 2_000;

let weathered: WeatheredCatalog;
beforeAll(async () => {
  weathered = await openWeatheredCatalog();
  // While the first process makes the first generation, the other has none to serve.
  for (const catalog of weathered.catalogs) await catalog.refresh();
  await weathered.untilFresh();
});
afterAll(() => weathered.close());

const mode = (): WeatheredCatalog['mode'] => weathered.mode;

function expectRecovered(recoveredAfterMs: number, slowness: number): void {
  expect(recoveredAfterMs).toBeLessThan(2 * RECOVERY_MS * Math.min(slowness, MAX_SLOWNESS));
}

function expectWhole({ answers, failures, torn, contents, backwards }: Sightings): void {
  expect({ failures, torn, backwards }).toEqual({ failures: [], torn: [], backwards: 0 });
  expect(answers).toBeGreaterThan(100);
  expect(contents).toBeGreaterThan(1);
}

describe('Chaos Engineering Tests', () => {
  catalogScenario(
    'catalog-chaos',
    mode,
    {
      promise: 'should survive random API failures',
      fault: `${ROUNDS} rounds in which 30 % of the requests fail, and the bundles change`,
    },
    async () => {
      const { esimGo } = weathered;
      let slowestMs = 0;
      const sightings = await weathered.whileAsked(async () => {
        for (let round = 1; round <= ROUNDS; round += 1) {
          await esimGo.change({ failureRate: 0.3 });
          slowestMs = Math.max(slowestMs, await weathered.untilFresh());
        }
      });
      await esimGo.change({ failureRate: 0 });
      expectWhole(sightings);
      const note = `fresh after ${Math.round(slowestMs)} ms at most, while requests fail`;
      return { accepted: sightings.answers, delivered: sightings.answers, note };
    },
  );

  catalogScenario(
    'catalog-chaos',
    mode,
    {
      promise: 'should handle network partitions',
      fault: `the API, Redis and Postgres are silent together for ${PARTITION_MS / 1_000} s`,
    },
    async () => {
      const { esimGo, redis, postgres } = weathered;
      const links = [esimGo, redis, postgres].map(({ link }) => link);
      let recoveredAfterMs = 0;
      const pace = watchPace();
      const sightings = await weathered.whileAsked(async () => {
        for (const link of links) link.faults.set('blackhole');
        await sleep(systemClock, PARTITION_MS);
        await Promise.all(links.map((link) => link.heal()));
        recoveredAfterMs = await weathered.untilFresh();
      });
      expectWhole(sightings);
      expectRecovered(recoveredAfterMs, pace.stop());
      const { answers } = sightings;
      return { accepted: answers, delivered: answers, lastedMs: PARTITION_MS, recoveredAfterMs };
    },
  );

  catalogScenario(
    'catalog-chaos',
    mode,
    {
      promise:
        'every search in a storm over the API, Redis and Postgres is of one whole generation',
      fault: `${RUNS} storms of up to 10 faults: links, kills and freezes, at random`,
    },
    async () => {
      let [accepted, recoveredAfterMs] = [0, 0];
      for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed += 1) {
        const storm = await stormOf(seed);
        accepted += storm.answers;
        recoveredAfterMs = Math.max(recoveredAfterMs, storm.recoveredAfterMs);
      }
      const lastedMs = RUNS * STORM_MS;
      return { accepted, delivered: accepted, lastedMs, recoveredAfterMs, seed: FIRST_SEED };
    },
  );
});

async function stormOf(seed: number): Promise<{ answers: number; recoveredAfterMs: number }> {
  const { esimGo, redis, postgres } = weathered;
  const weather = fleetStorm(seed, {
    servers: ['api', 'redis', 'postgres'],
    durationMs: STORM_MS,
    maxFaults: 10,
    maxFaultMs: 1_500,
  });
  let measured = { answers: 0, recoveredAfterMs: 0 };
  const run = async (storm: FleetStorm): Promise<void> => {
    let recoveredAfterMs = 0;
    const pace = watchPace();
    const sightings = await weathered.whileAsked(async () => {
      await playFleetStorm({ api: esimGo, redis, postgres }, storm);
      recoveredAfterMs = await weathered.untilFresh();
    });
    expectWhole(sightings);
    expectRecovered(recoveredAfterMs, pace.stop());
    measured = { answers: sightings.answers, recoveredAfterMs };
  };
  const replay = `HOLDFAST_SEED=${seed} pnpm test:infrastructure catalog-chaos`;
  await withstand(weather, run, { maxRuns: 4, replay });
  return measured;
}
