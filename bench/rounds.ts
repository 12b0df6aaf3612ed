/** Rounds that contenders play in turns, each with its CPU time: what a busy machine leaves comparable. */

export interface Round {
  readonly perSecond: number;
  /** User and system time of this process for one operation. */
  readonly cpuUs: number;
  /** The server's, where it was asked for. */
  readonly serverUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Contender<Played = Round> {
  readonly name: string;
  readonly round: () => Promise<Played>;
}

/**
 * Everybody plays each round, in turns of who begins. What is compared is a round with the others' of the same
 * moment, because a busy machine changes from round to round more than they differ.
 */
export async function inTurns<Played>(
  contenders: readonly Contender<Played>[],
  rounds: number,
): Promise<ReadonlyMap<string, Played>[]> {
  const played: ReadonlyMap<string, Played>[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const begins = round % contenders.length;
    const order = [...contenders.slice(begins), ...contenders.slice(0, begins)];
    // With three the one behind would always be the same one.
    if (round % 2 === 1) order.reverse();
    const results = new Map<string, Played>();
    for (const { name, round: play } of order) results.set(name, await play());
    played.push(results);
  }
  return played;
}

/** A Markdown table of medians; ratios are each one's to the last contender's, round by round. */
export function roundsTable(
  title: string,
  contenders: readonly Contender[],
  played: readonly ReadonlyMap<string, Round>[],
): string {
  const against = contenders.at(-1)?.name ?? '';
  const rows = contenders.map(({ name }) => {
    const of = (read: (round: Round) => number): number[] =>
      played.map((results) => readOf(results, name, read));
    const rates = of(({ perSecond }) => perSecond);
    const ratios = played.map(
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

/** Not every round is one of single operations. */
function shown(latencyMs: number): string {
  return Number.isNaN(latencyMs) ? '–' : latencyMs.toFixed(2);
}
