import { readFileSync, writeFileSync } from 'node:fs';

/** How long each test file took when it last ran, in milliseconds, by its path below the root. */
export type Durations = ReadonlyMap<string, number>;

/** Reads the durations of earlier runs; empty when there are none or the file is damaged. */
export function readDurations(path: string): Durations {
  try {
    const given: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof given !== 'object' || given === null) return new Map();
    return new Map(
      Object.entries(given).filter(
        (entry): entry is [string, number] => Number.isFinite(entry[1]) && Number(entry[1]) >= 0,
      ),
    );
  } catch {
    return new Map();
  }
}

/** Adds the durations of a run to those of earlier ones: a run of one family keeps what is known of the others. */
export function writeDurations(path: string, ran: Durations): void {
  const all = new Map([...readDurations(path), ...ran]);
  const sorted = [...all].toSorted(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(path, `${JSON.stringify(Object.fromEntries(sorted), null, 1)}\n`);
}

/** A test file under way. */
interface FileUnderWay {
  readonly path: string;
  readonly sinceMs: number;
}

/**
 * The time that the rest of a run takes with `workers` files at a time, in milliseconds. A file that never ran takes as
 * long as the others on average; without any earlier run it is unknown.
 */
export function timeToGo(options: {
  known: Durations;
  waiting: readonly string[];
  underWay: readonly FileUnderWay[];
  workers: number;
  nowMs: number;
}): number | undefined {
  const { known, waiting, underWay, workers, nowMs } = options;
  if (known.size === 0) return undefined;
  const meanMs = [...known.values()].reduce((sum, durationMs) => sum + durationMs, 0) / known.size;
  const expected = (path: string): number => known.get(path) ?? meanMs;
  const left = [
    ...waiting.map(expected),
    ...underWay.map(({ path, sinceMs }) => Math.max(0, expected(path) - (nowMs - sinceMs))),
  ];
  const total = left.reduce((sum, durationMs) => sum + durationMs, 0);
  return Math.max(total / Math.max(1, workers), ...left, 0);
}
