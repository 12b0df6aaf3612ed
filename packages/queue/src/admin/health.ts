import type { QueueHealth, QueueStats } from '../queue.ts';

/** The share of the fallback's limits from which its level is critical. */
const NEARLY_FULL = 0.8;

/** Derives the health of a queue from its statistics. */
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
    dataLossCount: dataLoss.count,
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
