import type { Clock } from '@holdfast/foundation';
import type { Incumbent } from './incumbent.ts';

/** An owner's file that has not changed since this time of the monotonic clock. */
export type WatchedOwner = Incumbent & { readonly sinceMs: number };

/**
 * By clock and directory: whom openings of this process have watched. An opening may be shorter than the time for which
 * an owner may be silent, and the next one watches on.
 */
const watchedOwners = new WeakMap<Clock, Map<string, WatchedOwner>>();

/** Watches the incumbent: from now on, or since an earlier opening if its file has not changed since. */
export function watchOwner(clock: Clock, directory: string, incumbent: Incumbent): WatchedOwner {
  const ofClock = watchedOwners.get(clock) ?? new Map<string, WatchedOwner>();
  const known = ofClock.get(directory);
  const { record, modifiedMs } = incumbent;
  const isSame = record !== undefined && known?.record?.token === record.token;
  if (isSame && known.modifiedMs === modifiedMs) return known;
  const watched = { ...incumbent, sinceMs: clock.now() };
  watchedOwners.set(clock, ofClock.set(directory, watched));
  return watched;
}

/** The directory has a new owner. */
export function forgetOwner(clock: Clock, directory: string): void {
  watchedOwners.get(clock)?.delete(directory);
}
