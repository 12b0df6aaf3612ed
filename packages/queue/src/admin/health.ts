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
  const { stalledConsumers, evictionPolicy, fallbackFailure } = stats;
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
    ...(stalledConsumers && { stalledConsumers }),
    ...(evictionPolicy !== undefined && { evictionPolicy }),
    ...(fallbackFailure && { fallbackFailure }),
  };
}

function levelOf(
  stats: QueueStats,
  { maxBacklogJobs, maxBacklogBytes }: { maxBacklogJobs: number; maxBacklogBytes: number },
): QueueHealth['level'] {
  const { current, backlog, fallbackFailure } = stats;
  // Without the fallback nothing is accepted that Redis itself does not take.
  if (fallbackFailure !== undefined && current !== 'redis') return 'critical';
  const full = Math.max(backlog.jobs / maxBacklogJobs, backlog.bytes / maxBacklogBytes);
  const { state, stalledConsumers = [], evictionPolicy } = stats;
  const mustAct = stalledConsumers.some(({ errorClass }) => errorClass !== 'busy');
  if (state === 'blocked' || state === 'closed' || full >= NEARLY_FULL || mustAct)
    return 'critical';
  const isSafe =
    stalledConsumers.length === 0 && evictionPolicy === undefined && fallbackFailure === undefined;
  return state === 'direct' && isSafe ? 'healthy' : 'degraded';
}
