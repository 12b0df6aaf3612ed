/** How short the resources of the machine are, from readings of what is used: pure but for the readings. */
import type { PressureLevel } from './shedding.ts';

/** A resource that runs short. */
export interface Watermark {
  /** The used share, from 0 to 1; undefined, or an error, if it is not known: then the last level holds. */
  readonly read: () => number | undefined;
  /** From here on background requests are refused. Default 0.85. */
  readonly high?: number;
  /** From here on all but critical ones are. Default 0.95. */
  readonly critical?: number;
}

/** A watermark with its defaults. */
export type ResolvedWatermark = Required<Watermark>;

/** How far below its mark a share has to fall for a level to end, so that none is entered and left all the time. */
const HYSTERESIS = 0.05;

/** The level for a used share; a level ends only clearly below the mark at which it began. */
export function nextLevel(
  level: PressureLevel,
  usedShare: number,
  { high, critical }: Pick<ResolvedWatermark, 'high' | 'critical'>,
): PressureLevel {
  if (usedShare >= critical) return 'critical';
  if (level === 'critical' && usedShare >= critical - HYSTERESIS) return 'critical';
  if (usedShare >= high) return 'high';
  return level !== 'normal' && usedShare >= high - HYSTERESIS ? 'high' : 'normal';
}

const severity = { normal: 0, high: 1, critical: 2 } as const;

/** The levels of several resources. */
export class Watermarks {
  readonly #marks: Readonly<Record<string, ResolvedWatermark>>;
  readonly #levels = new Map<string, PressureLevel>();

  constructor(marks: Readonly<Record<string, ResolvedWatermark>>) {
    this.#marks = marks;
  }

  /** Reads all of them: the worst level, and whose it is. */
  read(): { readonly level: PressureLevel; readonly resource: string } {
    let worst: { level: PressureLevel; resource: string } = { level: 'normal', resource: '' };
    for (const [resource, mark] of Object.entries(this.#marks)) {
      const before = this.#levels.get(resource) ?? 'normal';
      const usedShare = readSafely(mark.read);
      // What is not known is not zero.
      const level = usedShare === undefined ? before : nextLevel(before, usedShare, mark);
      this.#levels.set(resource, level);
      if (severity[level] > severity[worst.level]) worst = { level, resource };
    }
    return worst;
  }
}

function readSafely(read: () => number | undefined): number | undefined {
  try {
    const share = read();
    return typeof share === 'number' && Number.isFinite(share) ? share : undefined;
  } catch {
    return undefined;
  }
}

/** Of `createMemoryGuard` of `@holdfast/network/limits`: the heap or the container, whichever is fuller. */
export function memoryShare(guard: {
  getStats(): {
    readonly heapUsed: number;
    readonly heapLimit: number;
    readonly rss: number;
    readonly rssLimit: number | undefined;
  };
}): number {
  const { heapUsed, heapLimit, rss, rssLimit } = guard.getStats();
  return Math.max(heapUsed / heapLimit, rssLimit === undefined ? 0 : rss / rssLimit);
}

/** Of `createDescriptorPool` of `@holdfast/network/limits`. */
export function descriptorShare(pool: {
  getStats(): { readonly inUse: number; readonly limit: number };
}): number {
  const { inUse, limit } = pool.getStats();
  return inUse / limit;
}

/** Of `createDiskGuard` of `@holdfast/network/limits`, as it was read last. */
export function diskShare(guard: {
  getStats(): {
    readonly reading: { readonly freeBytes: number; readonly totalBytes: number } | undefined;
  };
}): number | undefined {
  const { reading } = guard.getStats();
  return reading === undefined ? undefined : 1 - reading.freeBytes / reading.totalBytes;
}
