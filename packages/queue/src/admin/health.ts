import type { QueueHealth, QueueStats } from '../queue.ts';

/** From here on a fallback that fills up is worth waking somebody for. */
const NEARLY_FULL = 0.8;

/** A queue's numbers as an answer to "is it well?". */
export function healthOf(
  stats: QueueStats,
  limits: { readonly maxBacklogJobs: number; readonly maxBacklogBytes: number },
  drainEtaMs: number | undefined,
): QueueHealth {
  const { state, current, errorClass, lastError, backlog, dataLoss } = stats;
  return {
    level: levelOf(stats, limits),
    state,
    current,
    ...(errorClass && { errorClass }),
    ...(lastError !== undefined && { lastError }),
    depth: backlog.jobs,
    bytes: backlog.bytes,
    ...(backlog.oldestAgeMs !== undefined && { oldestAgeMs: backlog.oldestAgeMs }),
    ...(state === 'draining' && drainEtaMs !== undefined && { drainEtaMs }),
    dataLossCount: dataLoss.times,
  };
}

function levelOf(
  { state, backlog }: QueueStats,
  { maxBacklogJobs, maxBacklogBytes }: { maxBacklogJobs: number; maxBacklogBytes: number },
): QueueHealth['level'] {
  const full = Math.max(backlog.jobs / maxBacklogJobs, backlog.bytes / maxBacklogBytes);
  if (state === 'blocked' || state === 'closed' || full >= NEARLY_FULL) return 'critical';
  return state === 'direct' ? 'healthy' : 'degraded';
}
