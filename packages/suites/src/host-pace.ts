import { sleep, systemClock } from '@holdfast/foundation';

const TICK_MS = 20;

/**
 * Watches how late this process gets to run. `stop` returns how many times longer a wait took than it should have, at
 * least 1: on a machine with other work a published time takes that much longer.
 */
export function watchPace(): { stop(): number } {
  const stopping = new AbortController();
  const beganMs = systemClock.now();
  let ticks = 0;
  const watch = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await sleep(systemClock, TICK_MS, stopping.signal).catch(() => undefined);
      ticks += 1;
    }
  };
  void watch();
  return {
    stop() {
      stopping.abort();
      return Math.max(1, (systemClock.now() - beganMs) / (TICK_MS * Math.max(1, ticks)));
    },
  };
}
