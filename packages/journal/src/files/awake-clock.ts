import type { Clock, Timer } from '@holdfast/foundation';

/** A timer of a disk consists of so many. */
const PARTS = 5;

/**
 * The same clock, whose timers count the time in which the process runs: one of `delayMs` fires after so long, and when
 * the process was suspended or its event loop blocked meanwhile, after a fifth less than that at least. A disk that could
 * not report to a process that was suspended has the rest of the time to do so.
 */
export function awakeClock(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    epochMs: () => clock.epochMs(),
    schedule(delayMs, callback, options) {
      const partMs = Math.ceil(delayMs / PARTS);
      const begin = (restMs: number): Timer => {
        const isLast = restMs <= partMs;
        const next = (): void => (isLast ? callback() : void (timer = begin(restMs - partMs)));
        return clock.schedule(Math.min(restMs, partMs), next, options);
      };
      let timer = begin(delayMs);
      return { cancel: () => timer.cancel() };
    },
  };
}
