/**
 * The cost of the limits beside their peers in one process: CPU time of a reservation and of a call through the gate,
 * each beside `p-limit`. Exits with 1 when a ratio is over its bar.
 */
import { createBudget, createOverloadGate } from '@holdfast/network/limits';
import pLimit from 'p-limit';
import { type Contender, inTurns } from './measuring/rounds.ts';

const OPERATIONS = 50_000;
const ROUNDS = 9;

const budget = createBudget({ limits: { descriptors: 1_000, bytes: 1e9 } });
const gate = createOverloadGate({ maxConcurrent: 100 });
const limit = pLimit(100);
const work = async (): Promise<number> => 1;

/** CPU nanoseconds of one operation. */
function timed(name: string, run: () => unknown): Contender<number> {
  return {
    name,
    async round() {
      const before = process.cpuUsage();
      for (let at = 0; at < OPERATIONS; at += 1) await run();
      const { user, system } = process.cpuUsage(before);
      return ((user + system) * 1_000) / OPERATIONS;
    },
  };
}

const contenders = [
  timed('budget.tryReserve and release', () => budget.tryReserve({ bytes: 1_000 })?.release()),
  timed('budget.reserve and release', async () => {
    const reservation = await budget.reserve({ descriptors: 1, bytes: 1_000 });
    reservation.release();
  }),
  timed('gate.process', () => gate.process(work)),
  timed('p-limit', () => limit(work)),
];
const finished = await inTurns(contenders, ROUNDS);
const medianOf = (name: string): number =>
  finished.map((round) => round.get(name) ?? Number.NaN).toSorted((a, b) => a - b)[
    Math.floor(ROUNDS / 2)
  ] ?? Number.NaN;
const against = medianOf('p-limit');
process.stdout.write('| limits | CPU ns | of p-limit | bar |\n|---|---:|---:|---:|\n');
let isOver = false;
for (const { name } of contenders) {
  const ns = medianOf(name);
  const bar = name === 'p-limit' ? undefined : 1;
  isOver ||= bar !== undefined && ns / against > bar;
  const shown = bar === undefined ? '' : `at most ${bar}x`;
  process.stdout.write(
    `| ${name} | ${Math.round(ns)} | ${(ns / against).toFixed(2)}x | ${shown} |\n`,
  );
}
if (isOver) {
  process.stderr.write('over its bar\n');
  process.exitCode = 1;
}
