import { integer, optional, parseOptions, string } from '@holdfast/foundation';
import { StormFailedError } from '../errors.ts';
import type { Schedule, TimedFault } from './schedule.ts';

const maxRuns = integer({ min: 0, max: 1_000_000, default: 100 });
const shape = { maxRuns, replay: optional(string({ maxLength: 1_000 })) };
const shrinkShape = { maxRuns };

/**
 * Runs something in a storm. When it fails, searches a smaller storm in which it fails too, and reports the seed and
 * the smaller schedule.
 * @param run runs the storm and rejects when the service did not withstand it.
 * @param options.maxRuns how many more runs the search may take. Default 100.
 * @param options.replay the command that replays the storm, for the error. Default: the call that draws it.
 * @throws StormFailedError, InvalidOptionError
 */
export async function withstand<Fault extends TimedFault>(
  storm: Schedule<Fault>,
  run: (storm: Schedule<Fault>) => Promise<void>,
  options?: { maxRuns?: number; replay?: string },
): Promise<void> {
  const { replay, ...limit } = parseOptions('withstand', shape, options);
  try {
    await run(storm);
  } catch (cause) {
    let runs = 0;
    const fails = async (smaller: Schedule<Fault>): Promise<boolean> => {
      runs += 1;
      return run(smaller).then(
        () => false,
        () => true,
      );
    };
    const shrunk = await shrinkStorm(storm, fails, limit);
    throw new StormFailedError(storm.seed, runs, shrunk, cause, replay);
  }
}

/**
 * Returns the smallest storm found that still fails: it removes faults in ever smaller groups, then shortens the rest.
 * Source of the grouping: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002.
 * @param options.maxRuns how often `fails` may be called. Default 100.
 * @throws InvalidOptionError, or what `fails` throws.
 */
export async function shrinkStorm<Fault extends TimedFault>(
  storm: Schedule<Fault>,
  fails: (storm: Schedule<Fault>) => Promise<boolean>,
  options?: { maxRuns?: number },
): Promise<Schedule<Fault>> {
  let { maxRuns: runsLeft } = parseOptions('shrinkStorm', shrinkShape, options);
  let smallest = storm;
  const accepts = async (faults: readonly Fault[]): Promise<boolean> => {
    if (runsLeft <= 0) return false;
    runsLeft -= 1;
    const candidate = { ...storm, faults };
    if (!(await fails(candidate))) return false;
    smallest = candidate;
    return true;
  };

  let groupSize = Math.ceil(storm.faults.length / 2);
  while (groupSize >= 1) {
    let from = 0;
    let isSmaller = false;
    while (from < smallest.faults.length) {
      const rest = smallest.faults.toSpliced(from, groupSize);
      if (await accepts(rest)) isSmaller = true;
      else from += groupSize;
    }
    if (groupSize > 1) groupSize = Math.ceil(groupSize / 2);
    else if (!isSmaller) break;
  }

  for (let index = 0; index < smallest.faults.length; index += 1) {
    let fault = smallest.faults[index];
    while (fault !== undefined && fault.forMs > 1) {
      const shorter: Fault = { ...fault, forMs: Math.floor(fault.forMs / 2) };
      if (!(await accepts(smallest.faults.with(index, shorter)))) break;
      fault = shorter;
    }
  }
  return smallest;
}
