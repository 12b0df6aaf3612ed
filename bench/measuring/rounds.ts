/** Runs contenders alternately in rounds, with CPU times, which stay comparable on a busy machine. */

export interface Round {
  readonly perSecond: number;
  /** User and system time of this process for one operation. */
  readonly cpuUs: number;
  /** The same for the server, where it is measured. */
  readonly serverUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Contender<Result = Round> {
  readonly name: string;
  readonly round: () => Promise<Result>;
}

/**
 * Runs every contender in each round, each round starting with another one. Only results of the same round are
 * compared, because a busy machine changes more between rounds than the contenders differ.
 */
export async function inTurns<Result>(
  contenders: readonly Contender<Result>[],
  rounds: number,
): Promise<ReadonlyMap<string, Result>[]> {
  const finished: ReadonlyMap<string, Result>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const begins = round % contenders.length;
    const order = [...contenders.slice(begins), ...contenders.slice(0, begins)];
    // Every second round in reverse: with three contenders each would otherwise always follow the same one.
    if (round % 2 === 1) order.reverse();
    const results = new Map<string, Result>();
    for (const { name, round: runRound } of order) results.set(name, await runRound());
    finished.push(results);
  }
  return finished;
}

/** A Markdown table of medians; the ratios are to the last contender, round by round. */
export function roundsTable(
  title: string,
  contenders: readonly Contender[],
  finished: readonly ReadonlyMap<string, Round>[],
): string {
  const against = contenders.at(-1)?.name ?? '';
  const rows = contenders.map(({ name }) => {
    const of = (read: (round: Round) => number): number[] =>
      finished.map((results) => readOf(results, name, read));
    const rates = of(({ perSecond }) => perSecond);
    const ratios = finished.map(
      (results, at) =>
        (rates[at] ?? Number.NaN) / readOf(results, against, ({ perSecond }) => perSecond),
    );
    const [low, middle, high] = quartiles(ratios);
    const cells = [
      Math.round(quartiles(rates)[1]).toLocaleString('en'),
      `${middle.toFixed(2)}x`,
      `${low.toFixed(2)} to ${high.toFixed(2)}`,
      quartiles(of(({ cpuUs }) => cpuUs))[1].toFixed(1),
      quartiles(of(({ serverUs }) => serverUs))[1].toFixed(1),
      shown(quartiles(of(({ p50Ms }) => p50Ms))[1]),
      shown(quartiles(of(({ p99Ms }) => p99Ms))[1]),
    ];
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  return [
    `| ${title} | per second | this / ${against} | middle half | CPU µs each | server µs each | p50 ms | p99 ms |`,
    '|---|---:|---:|---:|---:|---:|---:|---:|',
    ...rows,
    '',
  ].join('\n');
}

function readOf(
  results: ReadonlyMap<string, Round>,
  name: string,
  read: (round: Round) => number,
): number {
  const round = results.get(name);
  return round === undefined ? Number.NaN : read(round);
}

function quartiles(values: readonly number[]): readonly [number, number, number] {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? Number.NaN;
  return [at(0.25), at(0.5), at(0.75)];
}

/** Some rounds are not of single operations. */
function shown(latencyMs: number): string {
  return Number.isNaN(latencyMs) ? '–' : latencyMs.toFixed(2);
}
