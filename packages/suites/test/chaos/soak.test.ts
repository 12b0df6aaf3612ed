/**
 * It measures time, or what the whole process holds.
 *
 * @alone
 */
import { expect, test } from '@jest/globals';
import { fleetStorm, playFleetStorm } from '@holdfast/faults';
import { derivedSeed } from '@holdfast/foundation';
import { type ProcessSample, growth } from '../../src/soak/process-sample.ts';
import { type SoakWorld, openSoakWorld } from '../../src/soak/world.ts';

/** `HOLDFAST_SOAK_MS=720000` soaks for 12 minutes; `HOLDFAST_SEED=7` plays other storms. */
const SOAK_MS = Number(process.env['HOLDFAST_SOAK_MS'] ?? 9_000);
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 1);
/** Few and long rounds in a long soak: each ends with everything delivered. */
const ROUND_MS = Math.min(15_000, Math.max(2_000, SOAK_MS / 4));
const ROUNDS = Math.max(4, Math.round(SOAK_MS / ROUND_MS));
const TIMEOUT_MS = 120_000 + 4 * SOAK_MS;

/** One storm under load, and the state once everything has come back. */
async function playRound(
  world: SoakWorld,
  round: number,
): Promise<{ wrong: string[]; sample: ProcessSample }> {
  const storm = fleetStorm(derivedSeed(SEED, round), {
    servers: Object.keys(world.servers),
    durationMs: ROUND_MS,
    maxFaults: Math.max(4, Math.round(ROUND_MS / 1_500)),
    maxFaultMs: Math.min(3_000, ROUND_MS / 2),
  });
  const over = new AbortController();
  const loaded = world.load(over.signal);
  try {
    await playFleetStorm(world.servers, storm);
  } finally {
    over.abort();
    await loaded;
  }
  const wrong = await world.settle();
  return { wrong, sample: await world.sample() };
}

test(
  'after storms over every server nothing accepted is missing, and nothing has gathered in the process or at the servers',
  async () => {
    const world = await openSoakWorld();
    try {
      const samples: ProcessSample[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const { wrong, sample } = await playRound(world, round);
        process.stdout.write(`soak, round ${round}: ${JSON.stringify(sample)}\n`);
        expect({ seed: SEED, round, wrong }).toEqual({ seed: SEED, round, wrong: [] });
        samples.push(sample);
      }
      const counts = world.counts();
      process.stdout.write(`soak, seed ${SEED}: ${JSON.stringify(counts)}\n`);
      for (const name of ['enqueue', 'update', 'upload', 'download', 'stack']) {
        expect({ name, isLoaded: (counts[name] ?? 0) > ROUNDS }).toEqual({ name, isLoaded: true });
      }
      // The first round opens what stays open.
      expect(growth(samples.slice(1))).toEqual([]);
    } finally {
      await world.close();
    }
  },
  TIMEOUT_MS,
);

test('what grows is noticed, and what only moves is not', () => {
  const sample: ProcessSample = {
    heapBytes: 30e6,
    rssBytes: 200e6,
    descriptors: 40,
    listeners: 3,
    redisKeys: 8,
    redisConnections: 5,
    postgresConnections: 5,
    journalFiles: 9,
    unsettled: 0,
  };
  const at = (round: number): ProcessSample => ({
    ...sample,
    heapBytes: sample.heapBytes + (round % 2) * 5e6,
    descriptors: sample.descriptors + round * 5,
  });
  const samples = Array.from({ length: 9 }, (_, round) => at(round));
  expect(growth(samples)).toEqual(['descriptors: 45 at first, 75 at last']);
  const moment = samples.map((one, round) => ({ ...one, descriptors: round === 2 ? 10 : 40 }));
  expect(growth(moment)).toEqual([]);
  expect(growth(samples.map((one) => Object.assign(one, { descriptors: 40 })))).toEqual([]);
  expect(growth([sample, { ...sample, unsettled: 1 }])).toEqual([
    'unsettled: 0 at first, 1 at last',
  ]);
});
