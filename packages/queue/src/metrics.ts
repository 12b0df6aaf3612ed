import {
  type Collector,
  type Row,
  collectTable,
  namedSources,
  rowsFor,
} from '@holdfast/foundation/metrics';
import type { OptionRule } from '@holdfast/foundation';
import type { ErrorClass } from './backend.ts';
import type { Queue, QueueHealth, QueueStats } from './queue.ts';

/** The queues whose numbers are published, by the name they are published under. */
export type MeasuredQueues = Readonly<Record<string, Pick<Queue, 'getStats' | 'health'>>>;

export const measuredQueues: OptionRule<MeasuredQueues> = namedSources(['getStats', 'health']);

interface QueueReading {
  readonly stats: QueueStats;
  readonly health: QueueHealth;
}

const LEVELS: Readonly<Record<QueueHealth['level'], number>> = {
  healthy: 0,
  degraded: 1,
  critical: 2,
};

const CLASSES: Readonly<Record<ErrorClass, number>> = {
  busy: 1,
  unreachable: 2,
  denied: 3,
  unsupported: 4,
  fenced: 5,
};

const { counter, gauge } = rowsFor<QueueReading>('queue');
const rows: readonly Row<QueueReading>[] = [
  gauge('queue_health', 'healthy 0, degraded 1, critical 2', ({ health }) => LEVELS[health.level]),
  gauge(
    'queue_error_class',
    'none 0, busy 1, unreachable 2, denied 3, unsupported 4, fenced 5',
    ({ stats }) => (stats.errorClass === undefined ? 0 : CLASSES[stats.errorClass]),
  ),
  gauge(
    'queue_consumers_stalled',
    'Consumers that Redis refuses',
    ({ stats }) => stats.stalledConsumers?.length ?? 0,
  ),
  gauge('queue_link_up', 'Whether Redis can be asked', ({ stats }) =>
    stats.connection.up ? 1 : 0,
  ),
  gauge('queue_pending', 'Jobs that wait for an answer', ({ stats }) => stats.pending),
  gauge('queue_backlog_jobs', 'Jobs in the fallback', ({ stats }) => stats.backlog.jobs),
  gauge('queue_backlog_bytes', 'What the fallback holds', ({ stats }) => stats.backlog.bytes),
  gauge('queue_backlog_age_ms', 'Age of the oldest job there', ({ health }) => health.oldestAgeMs),
  gauge('queue_drain_eta_ms', 'Until the fallback is empty', ({ health }) => health.drainEtaMs),
  counter('queue_accepted_redis_total', 'Accepted by Redis', ({ stats }) => stats.acceptedByRedis),
  counter(
    'queue_accepted_fallback_total',
    'Accepted by the fallback',
    ({ stats }) => stats.acceptedByFallback,
  ),
  counter('queue_drained_total', 'Brought over to Redis', ({ stats }) => stats.drained),
  counter('queue_shed_total', 'Given up to make room', ({ stats }) => stats.shed),
  counter('queue_resent_known_total', 'Sent again, and known', ({ stats }) => stats.alreadyApplied),
  counter('queue_forgot_total', 'Times Redis forgot jobs', ({ stats }) => stats.dataLoss.count),
  counter('queue_connects_total', 'Connections made', ({ stats }) => stats.connection.connects),
  counter(
    'queue_connect_failures_total',
    'Attempts failed',
    ({ stats }) => stats.connection.failedAttempts,
  ),
];

/** How the numbers of these queues are read. */
export function queueCollectors(queues: MeasuredQueues): Collector[] {
  const sources = Object.entries(queues).map(([name, queue]) => ({
    name,
    getStats: () => ({ stats: queue.getStats(), health: queue.health() }),
  }));
  return collectTable('queue', rows, sources);
}
