import { expect, test } from '@jest/globals';
import { type HealedResult, runHealedWorld } from '../../src/operations/healed-service.ts';

/** `HOLDFAST_RUNS=10000` runs ten times as many. */
const RUNS = Number(process.env['HOLDFAST_RUNS'] ?? 1_000);
/** Rounding of sums of shares of requests. */
const ROUNDING = 1e-9;
/** The worlds of so many seeds share each turn of the loop. */
const AT_A_TIME = 50;

interface Pair {
  readonly seed: number;
  readonly healed: HealedResult;
  readonly left: HealedResult;
}

async function pairOf(seed: number, incidents: number): Promise<Pair> {
  const [healed, left] = await Promise.all([
    runHealedWorld({ seed, incidents, isHealed: true }),
    runHealedWorld({ seed, incidents, isHealed: false }),
  ]);
  return { seed, healed, left };
}

async function* pairs(runs: number, incidents: number): AsyncIterable<Pair> {
  for (let first = 1; first <= runs; first += AT_A_TIME) {
    const count = Math.min(AT_A_TIME, runs - first + 1);
    const seeds = Array.from({ length: count }, (_, index) => first + index);
    yield* await Promise.all(seeds.map((seed) => pairOf(seed, incidents)));
  }
}

function gainOf({ healed, left }: Pair): number {
  return healed.stats.availability - left.stats.availability;
}

test(`in ${RUNS} simulated incidents healing never makes availability worse than doing nothing`, async () => {
  const worse: unknown[] = [];
  let [better, actions] = [0, 0];
  for await (const pair of pairs(RUNS, 1)) {
    const gain = gainOf(pair);
    if (gain < -ROUNDING) worse.push({ seed: pair.seed, gain, healing: pair.healed.healing });
    if (gain > ROUNDING) better += 1;
    actions += pair.healed.healing?.actions ?? 0;
  }
  expect(worse).toEqual([]);
  // What does nothing is never worse either.
  expect(actions).toBeGreaterThan(RUNS / 4);
  expect(better).toBeGreaterThan(RUNS / 20);
}, 900_000);

test('of ten incidents at a time healing makes hardly one hour worse, and the whole better', async () => {
  const runs = Math.max(50, RUNS / 10);
  let [healed, left, worse] = [0, 0, 0];
  for await (const pair of pairs(runs, 10)) {
    healed += pair.healed.stats.served;
    left += pair.left.stats.served;
    if (gainOf(pair) < -ROUNDING) worse += 1;
  }
  expect(healed).toBeGreaterThan(left * 1.02);
  // A surge may begin while an instance that looked spare restarts.
  expect(worse).toBeLessThan(runs / 5);
}, 900_000);

test('the same seed heals the same way', async () => {
  expect(await pairOf(4, 5)).toEqual(await pairOf(4, 5));
});
