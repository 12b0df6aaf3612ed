import { expect, test } from '@jest/globals';
import { playRun } from './model-run.ts';

const RUNS = Number(process.env['HOLDFAST_RUNS'] ?? 1_000);
const FIRST_SEED = Number(process.env['HOLDFAST_SEED'] ?? 1);

test(
  'over random writes, faults and crashes no acknowledged write is lost, reordered or undone',
  async () => {
    const totals = { acknowledged: 0, crashes: 0, lateWrites: 0 };
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed += 1) {
      const { acknowledged, crashes, lateWrites, ...bad } = await playRun(seed);
      totals.acknowledged += acknowledged;
      totals.crashes += crashes;
      totals.lateWrites += lateWrites;
      expect({ seed, ...bad }).toEqual({
        seed,
        lost: [],
        outOfOrder: [],
        resurrected: [],
        stale: [],
        left: [],
      });
    }
    process.stdout.write(
      `${RUNS} runs from seed ${FIRST_SEED}: ${totals.acknowledged} writes acknowledged, ` +
        `${totals.crashes} crashes, ${totals.lateWrites} late writes; ` +
        'again with HOLDFAST_SEED and HOLDFAST_RUNS\n',
    );
    expect(totals.acknowledged).toBeGreaterThan(RUNS);
    expect(totals.lateWrites).toBeGreaterThan(RUNS / 10);
  },
  60_000 + RUNS * 100,
);
