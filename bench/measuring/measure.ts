/** Measures contenders alternately, so that a noisy machine affects all of them alike. */

export interface Contender {
  readonly name: string;
  /** One operation. */
  run(): Promise<unknown>;
  close?(): Promise<void>;
}

export interface Measured {
  readonly name: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs the contenders alternately, round after round; returns the median round of each. */
export async function compare(
  contenders: readonly Contender[],
  options: { inFlight: number; rounds: number; roundMs: number },
): Promise<Measured[]> {
  const rounds = new Map<string, Measured[]>();
  for (let round = 0; round < options.rounds; round += 1) {
    for (const contender of contenders) {
      const measured = await measure(contender, options.inFlight, options.roundMs);
      rounds.set(contender.name, [...(rounds.get(contender.name) ?? []), measured]);
    }
  }
  return contenders.map(({ name }) => median(rounds.get(name) ?? []));
}

async function measure(contender: Contender, inFlight: number, roundMs: number): Promise<Measured> {
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + roundMs;
  const loop = async (): Promise<void> => {
    while (true) {
      const beganMs = performance.now();
      if (beganMs >= endMs) return;
      await contender.run();
      latenciesMs.push(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  const elapsedMs = performance.now() - startMs;
  const sorted = Float64Array.from(latenciesMs).toSorted();
  return {
    name: contender.name,
    perSecond: (sorted.length / elapsedMs) * 1_000,
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? Number.NaN,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
  };
}

function median(rounds: readonly Measured[]): Measured {
  const sorted = rounds.toSorted((left, right) => left.perSecond - right.perSecond);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new RangeError('nothing was measured');
  return middle;
}

/** A Markdown table; the first contender is ours, and the ratios are ours to each. */
export function table(title: string, measured: readonly Measured[]): string {
  const ours = measured[0]?.perSecond ?? Number.NaN;
  const rows = measured.map(({ name, perSecond, p50Ms, p99Ms }) =>
    [
      name.padEnd(34),
      Math.round(perSecond).toLocaleString('en').padStart(9),
      shown(p50Ms).padStart(8),
      shown(p99Ms).padStart(8),
      `${(ours / perSecond).toFixed(2)}x`.padStart(12),
    ].join(' | '),
  );
  const head = ['per second', 'p50 ms', 'p99 ms', 'ours / this'];
  return [
    `| ${[title.padEnd(34), head[0]?.padStart(9), head[1]?.padStart(8), head[2]?.padStart(8), head[3]?.padStart(12)].join(' | ')} |`,
    '|---|---:|---:|---:|---:|',
    ...rows.map((row) => `| ${row} |`),
    '',
  ].join('\n');
}

/** Some measurements are not of single operations. */
function shown(latencyMs: number): string {
  return Number.isNaN(latencyMs) ? '–' : latencyMs.toFixed(2);
}
