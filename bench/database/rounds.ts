/** Compares rates and CPU times of contenders on a machine with other load. */
import { inTurns } from '../measuring/rounds.ts';

export interface Contender {
  readonly name: string;
  /** One operation. */
  readonly run: () => Promise<unknown>;
}

interface Round {
  readonly perSecond: number;
  /** User and system time of this process for one operation. */
  readonly cpuUs: number;
}

type Rounds = readonly ReadonlyMap<string, Round>[];

const IN_FLIGHT = 100;
/** Odd, so that the median is a measured round. */
const ROUNDS = 75;
const WARM_UP_ROUNDS = 5;

/** Many short rounds: contenders are compared within a short time, and the median of the ratios is stable. */
export async function sideBySide(
  title: string,
  operations: number,
  contenders: readonly Contender[],
): Promise<string> {
  for (const contender of contenders) await measureRound(contender, operations * WARM_UP_ROUNDS);
  const runners = contenders.map((contender) => ({
    name: contender.name,
    round: () => measureRound(contender, operations),
  }));
  return table(title, contenders, await inTurns(runners, ROUNDS));
}

async function measureRound({ run }: Contender, operations: number): Promise<Round> {
  let left = operations;
  const loop = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await run();
    }
  };
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop));
  const { user, system } = process.cpuUsage(startCpu);
  const perSecond = (operations / (performance.now() - startMs)) * 1_000;
  return { perSecond, cpuUs: (user + system) / operations };
}

function table(title: string, contenders: readonly Contender[], rounds: Rounds): string {
  const first = contenders[0]?.name ?? '';
  const rows = contenders.map(({ name }) => {
    const rate = estimate(ratios(rounds, first, name, ({ perSecond }) => perSecond));
    const cpu = estimate(ratios(rounds, first, name, ({ cpuUs }) => cpuUs));
    const { median: perSecond } = estimate(measured(rounds, name, (round) => round.perSecond));
    const { median: cpuUs } = estimate(measured(rounds, name, (round) => round.cpuUs));
    const cells = [
      name,
      String(Math.round(perSecond)),
      `${rate.median.toFixed(2)}x`,
      name === first ? '' : `${rate.low.toFixed(2)} to ${rate.high.toFixed(2)}`,
      cpuUs.toFixed(1),
      `${cpu.median.toFixed(2)}x`,
      name === first ? '' : `${cpu.low.toFixed(2)} to ${cpu.high.toFixed(2)}`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `| ${title} | per second | ${first} / this | 95 % sure | CPU µs each | CPU ${first} / this | 95 % sure |`,
    '|---|---:|---:|---:|---:|---:|---:|',
    ...rows,
    '',
  ].join('\n');
}

function measured(rounds: Rounds, name: string, read: (round: Round) => number): number[] {
  return rounds.map((round) => {
    const found = round.get(name);
    return found === undefined ? Number.NaN : read(found);
  });
}

function ratios(
  rounds: Rounds,
  first: string,
  other: string,
  read: (round: Round) => number,
): number[] {
  const theirs = measured(rounds, other, read);
  return measured(rounds, first, read).map((value, at) => value / (theirs[at] ?? Number.NaN));
}

/** The median and its 95 % confidence interval, by rank. */
function estimate(values: readonly number[]): { low: number; median: number; high: number } {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = (sorted.length - 1) / 2;
  const reach = 0.98 * Math.sqrt(sorted.length);
  const at = (rank: number): number => sorted[Math.round(rank)] ?? Number.NaN;
  return { low: at(middle - reach), median: at(middle), high: at(middle + reach) };
}
