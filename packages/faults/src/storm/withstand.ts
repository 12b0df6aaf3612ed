import { integer, optional, parseOptions, string } from '@holdfast/foundation';
import { StormFailedError } from '../errors.ts';
import { type Schedule, type TimedFault, replayOf } from './schedule.ts';
import { shrinkStorm } from './shrink-storm.ts';

const maxRuns = integer({ min: 0, max: 1_000_000, default: 100 });
const shape = { maxRuns, replay: optional(string({ maxLength: 1_000 })) };

/**
 * Runs something in a storm. When it fails, searches a smaller storm in which it fails too, and reports the seed and
 * the smaller schedule.
 * @param run runs the storm and rejects when the service did not withstand it.
 * @param options.maxRuns how many more runs the search may take. Default 100.
 * @param options.replay the command that replays the storm, for the error. Default: the call that draws it, with all of
 * its options, or the storm itself if it was not drawn.
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
    throw new StormFailedError(storm.seed, runs, shrunk, cause, replay ?? replayOf(storm));
  }
}
