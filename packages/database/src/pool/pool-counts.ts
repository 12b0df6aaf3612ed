import type { PoolSnapshot } from '../errors.ts';
import type { PoolStats } from '../database.ts';
import { DurationHistogram } from '../histogram.ts';

/** Counters of a pool since its start; plain fields, read on request. */
export class PoolCounts {
  acquired = 0;
  acquireTimeouts = 0;
  overloaded = 0;
  connects = 0;
  connectFailures = 0;
  lost = 0;
  retired = 0;
  cancels = 0;
  leaks = 0;
  readonly waitMs: DurationHistogram = new DurationHistogram();
  readonly useMs: DurationHistogram = new DurationHistogram();
  readonly connectMs: DurationHistogram = new DurationHistogram();

  read(): Omit<PoolStats, keyof PoolSnapshot> {
    const { waitMs, useMs, connectMs, ...counts } = this;
    return {
      ...counts,
      waitMs: waitMs.read(),
      useMs: useMs.read(),
      connectMs: connectMs.read(),
    };
  }
}
