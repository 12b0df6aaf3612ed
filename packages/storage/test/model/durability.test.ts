import { expect, test } from '@jest/globals';
import { type RunOptions, playRun } from './model-run.ts';

/** `HOLDFAST_RUNS=10000 HOLDFAST_SEED=1` runs ten times as many as by default. */
const RUNS = Number(process.env['HOLDFAST_RUNS'] ?? 1_000);
const FIRST_SEED = Number(process.env['HOLDFAST_SEED'] ?? 1);
const TIMEOUT_MS = 60_000 + RUNS * 150;

interface Totals {
  readonly runs: number;
  readonly acknowledged: number;
  readonly moves: number;
  readonly copies: number;
  readonly lateWrites: number;
  readonly restored: number;
  /** The first run that broke a promise. */
  readonly bad: unknown;
}

async function play(runs: number, options: RunOptions): Promise<Totals> {
  const totals = { acknowledged: 0, crashes: 0, lateWrites: 0, moves: 0, copies: 0, restored: 0 };
  let bad: unknown;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + runs && bad === undefined; seed += 1) {
    const { lost, outOfOrder, resurrected, stale, left, ...counts } = await playRun(seed, options);
    const broken = { lost, outOfOrder, resurrected, stale, left };
    if (Object.values(broken).some((one) => one.length > 0)) bad = { seed, ...broken };
    totals.acknowledged += counts.acknowledged;
    totals.crashes += counts.crashes;
    totals.lateWrites += counts.lateWrites;
    totals.moves += counts.moves;
    totals.copies += counts.copies;
    totals.restored += counts.restored;
  }
  process.stdout.write(
    `${runs} runs of ${options.processes} from seed ${FIRST_SEED}: ${totals.acknowledged} writes ` +
      `acknowledged, ${totals.moves} moves, ${totals.copies} copies, ${totals.crashes} crashes, ${totals.lateWrites} late ` +
      `writes, ${totals.restored} restored journals; again with HOLDFAST_SEED and HOLDFAST_RUNS\n`,
  );
  return { runs, ...totals, bad };
}

/** That nothing was broken, in runs that could break something. */
function judge({ bad, runs, acknowledged, lateWrites, moves, copies }: Totals): unknown {
  const isTelling =
    acknowledged > runs && lateWrites > runs / 10 && moves > runs / 2 && copies > runs / 3;
  return { bad, isTelling };
}

test(
  'over random writes, moves, copies, faults and crashes no acknowledged write is lost, reordered or undone',
  async () => {
    const totals = await play(Math.ceil(RUNS * 0.8), { processes: 1, restoresJournals: false });
    expect(judge(totals)).toEqual({ bad: undefined, isTelling: true });
  },
  TIMEOUT_MS,
);

test(
  'with two processes on the same keys no acknowledged write is lost to an older one, or undone',
  async () => {
    const totals = await play(Math.ceil(RUNS * 0.2), { processes: 2, restoresJournals: false });
    expect(judge(totals)).toEqual({ bad: undefined, isTelling: true });
  },
  TIMEOUT_MS,
);

test.each([
  ['one process', 1, 0.25],
  ['two processes', 2, 0.15],
] as const)(
  'with %s and journals restored one or more lives older, nothing that was delivered is undone',
  async (_, processes, share) => {
    const totals = await play(Math.ceil(RUNS * share), { processes, restoresJournals: true });
    expect(judge(totals)).toEqual({ bad: undefined, isTelling: true });
    expect(totals.restored).toBeGreaterThan(totals.runs / 4);
  },
  TIMEOUT_MS,
);
