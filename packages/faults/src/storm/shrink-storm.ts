import { integer, parseOptions } from '@holdfast/foundation';
import type { Schedule, TimedFault } from './schedule.ts';

const shape = { maxRuns: integer({ min: 0, max: 1_000_000, default: 100 }) };

/**
 * Returns the smallest storm found that still fails: it removes faults in ever smaller groups, shortens the rest, closes
 * the gaps before and between them, and ends the storm earlier.
 * Source of the grouping: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002.
 * @param options.maxRuns how often `fails` may be called. Default 100.
 * @throws InvalidOptionError, or what `fails` throws.
 */
export async function shrinkStorm<Fault extends TimedFault>(
  storm: Schedule<Fault>,
  fails: (storm: Schedule<Fault>) => Promise<boolean>,
  options?: { maxRuns?: number },
): Promise<Schedule<Fault>> {
  const { maxRuns } = parseOptions('shrinkStorm', shape, options);
  const shrinking = new Shrinking(storm, fails, maxRuns);
  await shrinking.removeFaults();
  await shrinking.shortenFaults();
  await shrinking.closeGaps();
  await shrinking.endEarlier();
  return shrinking.smallest;
}

class Shrinking<Fault extends TimedFault> {
  /** The smallest storm so far that fails. */
  smallest: Schedule<Fault>;
  readonly #fails: (storm: Schedule<Fault>) => Promise<boolean>;
  #runsLeft: number;

  constructor(
    storm: Schedule<Fault>,
    fails: (storm: Schedule<Fault>) => Promise<boolean>,
    maxRuns: number,
  ) {
    this.smallest = storm;
    this.#fails = fails;
    this.#runsLeft = maxRuns;
  }

  async removeFaults(): Promise<void> {
    let groupSize = Math.ceil(this.smallest.faults.length / 2);
    while (groupSize >= 1) {
      let from = 0;
      let isSmaller = false;
      while (from < this.smallest.faults.length) {
        const rest = this.smallest.faults.toSpliced(from, groupSize);
        if (await this.#accepts({ faults: rest })) isSmaller = true;
        else from += groupSize;
      }
      if (groupSize > 1) groupSize = Math.ceil(groupSize / 2);
      else if (!isSmaller) break;
    }
  }

  async shortenFaults(): Promise<void> {
    for (let index = 0; index < this.smallest.faults.length; index += 1) {
      let fault = this.smallest.faults[index];
      while (fault !== undefined && fault.forMs > 1) {
        const shorter: Fault = { ...fault, forMs: Math.floor(fault.forMs / 2) };
        if (!(await this.#accepts({ faults: this.smallest.faults.with(index, shorter) }))) break;
        fault = shorter;
      }
    }
  }

  /** Moves every fault that begins after all earlier ones are over, and those after it, to right behind them. */
  async closeGaps(): Promise<void> {
    for (let index = 0; index < this.smallest.faults.length; index += 1) {
      const { faults } = this.smallest;
      // Faults that touch are as if they overlapped.
      const earliestMs = index === 0 ? 0 : endOf(faults.slice(0, index)) + 1;
      const gapMs = (faults[index]?.atMs ?? 0) - earliestMs;
      for (let byMs = gapMs; byMs >= 1; byMs = Math.floor(byMs / 2)) {
        const moved = faults.map((fault, each): Fault =>
          each < index ? fault : Object.assign({}, fault, { atMs: fault.atMs - byMs }),
        );
        if (await this.#accepts({ faults: moved })) break;
      }
    }
  }

  async endEarlier(): Promise<void> {
    let tooEarlyMs = Math.max(1, endOf(this.smallest.faults));
    if (tooEarlyMs >= this.smallest.durationMs) return;
    if (await this.#accepts({ durationMs: tooEarlyMs })) return;
    while (this.#runsLeft > 0 && this.smallest.durationMs - tooEarlyMs > 1) {
      const durationMs = Math.floor((this.smallest.durationMs + tooEarlyMs) / 2);
      if (!(await this.#accepts({ durationMs }))) tooEarlyMs = durationMs;
    }
  }

  async #accepts(change: Partial<Schedule<Fault>>): Promise<boolean> {
    if (this.#runsLeft <= 0) return false;
    this.#runsLeft -= 1;
    const candidate = { ...this.smallest, ...change };
    if (!(await this.#fails(candidate))) return false;
    this.smallest = candidate;
    return true;
  }
}

function endOf(faults: readonly TimedFault[]): number {
  return Math.max(0, ...faults.map(({ atMs, forMs }) => atMs + forMs));
}
