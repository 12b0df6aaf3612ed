/**
 * Measures CPU time and bytes of one operation, alternating with a bare `await`, so that
 * neither other processes nor a slow machine affect the ratio.
 */

export interface Operation {
  run(): Promise<unknown>;
  /** How many operations one `run` makes. Default 1. */
  readonly perRun?: number;
}

export interface Cost {
  /** CPU time in units of a bare `await fn()`. */
  readonly ratio: number;
  readonly cpuNs: number;
}

/** CPU time of one round: long against the resolution of the clock and the collection of garbage. */
const ROUND_NS = 20_000_000;
const ROUNDS = 15;
const WARM_UP_NS = 300_000_000;
const BYTES_RUNS = 1_000;

const bare: Operation = { run: async () => undefined };

export async function costOf(operation: Operation): Promise<Cost> {
  const runs = await warmUp(operation);
  const bareRuns = await warmUp(bare);
  const costs: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const bareNs = await cpuNsOf(bare, bareRuns);
    const ownNs = await cpuNsOf(operation, runs);
    costs.push(ownNs);
    ratios.push(ownNs / bareNs);
  }
  return { ratio: median(ratios), cpuNs: median(costs) };
}

/** Warms up the operation; returns how many runs fill a round. */
async function warmUp(operation: Operation): Promise<number> {
  let runs = 1;
  let spentNs = 0;
  let perRunNs = 0;
  while (spentNs < WARM_UP_NS) {
    const ns = (await cpuNsOf(operation, runs)) * runs * (operation.perRun ?? 1);
    spentNs += ns;
    perRunNs = ns / runs;
    if (ns < ROUND_NS) runs *= 2;
  }
  return Math.max(1, Math.round(ROUND_NS / perRunNs));
}

async function cpuNsOf(operation: Operation, runs: number): Promise<number> {
  const before = process.cpuUsage();
  await repeat(operation, runs);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / (runs * (operation.perRun ?? 1));
}

/**
 * Measures what one operation allocates, retained or not. Needs a new space large enough to avoid a collection:
 * `--min-semi-space-size`.
 */
export async function bytesOf(operation: Operation): Promise<number> {
  await warmUp(operation);
  const perRun = operation.perRun ?? 1;
  const runs = Math.max(1, Math.round(BYTES_RUNS / perRun));
  const samples: number[] = [];
  for (let sample = 0; sample < 5; sample += 1) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    await repeat(operation, runs);
    samples.push((process.memoryUsage().heapUsed - before) / (runs * perRun));
  }
  return median(samples);
}

async function repeat(operation: Operation, runs: number): Promise<void> {
  for (let run = 0; run < runs; run += 1) {
    try {
      await operation.run();
    } catch {
      // Some cases measure rejections.
    }
  }
}

/** Measures the retained size of one of `count` objects after a full collection. */
export function retainedBytes(count: number, make: (index: number) => unknown): number {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const kept = Array.from({ length: count }, (_, index) => make(index));
  collectGarbage();
  return (process.memoryUsage().heapUsed - before) / kept.length;
}

function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('start node with --expose-gc');
  globalThis.gc();
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? NaN;
}
