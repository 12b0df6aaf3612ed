import { getEventListeners } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What a service that runs for months must not gather, once its servers have come back and its work is done. */
export interface ProcessSample {
  readonly heapBytes: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  /** Listeners of the process, and of the signal that every call was given. */
  readonly listeners: number;
  readonly redisKeys: number;
  readonly redisConnections: number;
  readonly postgresConnections: number;
  readonly journalFiles: number;
  /** Calls that have not settled. */
  readonly unsettled: number;
}

/** How much more of each the end may have than the beginning. */
export const bounds: ProcessSample = {
  heapBytes: 12 * 2 ** 20,
  rssBytes: 80 * 2 ** 20,
  descriptors: 12,
  listeners: 2,
  redisKeys: 4,
  redisConnections: 4,
  postgresConnections: 4,
  journalFiles: 6,
  unsettled: 0,
};

/** The part of a sample that is of this process; garbage is collected first. */
export function sampleProcess(
  signal: AbortSignal,
): Pick<ProcessSample, 'heapBytes' | 'rssBytes' | 'descriptors' | 'listeners'> {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  collect();
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  const ofProcess = process
    .eventNames()
    .reduce((sum, name) => sum + process.listenerCount(name), 0);
  return {
    heapBytes: heapUsed,
    rssBytes: rss,
    descriptors: existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0,
    listeners: ofProcess + getEventListeners(signal, 'abort').length,
  };
}

/** What has grown by more than its bound between the first third of the samples and the last. */
export function growth(samples: readonly ProcessSample[]): string[] {
  const third = Math.max(1, Math.floor(samples.length / 3));
  const median = (of: readonly ProcessSample[], name: keyof ProcessSample): number =>
    of.map((sample) => sample[name]).toSorted((one, other) => one - other)[
      Math.floor(of.length / 2)
    ] ?? 0;
  const names = Object.keys(bounds).filter((name): name is keyof ProcessSample => name in bounds);
  return names.flatMap((name) => {
    // The median of each: neither what a moment adds nor what it takes away is growth. Idle connections come and go.
    const before = median(samples.slice(0, third), name);
    const after = median(samples.slice(-third), name);
    return after - before > bounds[name] ? [`${name}: ${before} at first, ${after} at last`] : [];
  });
}
