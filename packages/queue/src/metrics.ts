import { InvalidOptionError } from '@holdfast/foundation';
import type { ErrorClass } from './backend.ts';
import type { Queue, QueueHealth, QueueStats } from './queue.ts';

/** The queues whose numbers are published, by the name they bear there. */
export type MeasuredQueues = Readonly<Record<string, Pick<Queue, 'getStats' | 'health'>>>;

/** One number of a queue. */
export interface QueueMetric {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  /** Read at the moment somebody looks; `undefined` where there is none. */
  readonly read: (stats: QueueStats, health: QueueHealth) => number | undefined;
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

const counter = (name: string, help: string, read: QueueMetric['read']): QueueMetric => ({
  name,
  help,
  kind: 'counter',
  read,
});

const gauge = (name: string, help: string, read: QueueMetric['read']): QueueMetric => ({
  name,
  help,
  kind: 'gauge',
  read,
});

export const queueMetrics: readonly QueueMetric[] = [
  gauge('queue_health', 'healthy 0, degraded 1, critical 2', (_, { level }) => LEVELS[level]),
  gauge(
    'queue_error_class',
    'none 0, busy 1, unreachable 2, denied 3, unsupported 4, fenced 5',
    ({ errorClass }) => (errorClass === undefined ? 0 : CLASSES[errorClass]),
  ),
  gauge('queue_link_up', 'Whether Redis can be asked', ({ connection }) => (connection.up ? 1 : 0)),
  gauge('queue_pending', 'Jobs that wait for an answer', ({ pending }) => pending),
  gauge('queue_backlog_jobs', 'Jobs in the fallback', ({ backlog }) => backlog.jobs),
  gauge('queue_backlog_bytes', 'What the fallback holds', ({ backlog }) => backlog.bytes),
  gauge('queue_backlog_age_ms', 'Age of the oldest job there', (_, { oldestAgeMs }) => oldestAgeMs),
  gauge('queue_drain_eta_ms', 'Until the fallback is empty', (_, { drainEtaMs }) => drainEtaMs),
  counter('queue_accepted_redis_total', 'Accepted by Redis', (stats) => stats.acceptedByRedis),
  counter(
    'queue_accepted_fallback_total',
    'Accepted by the fallback',
    (stats) => stats.acceptedByFallback,
  ),
  counter('queue_drained_total', 'Brought over to Redis', ({ drained }) => drained),
  counter('queue_shed_total', 'Given up to make room', ({ shed }) => shed),
  counter('queue_resent_known_total', 'Sent again, and known', (stats) => stats.alreadyApplied),
  counter('queue_forgot_total', 'Times Redis forgot jobs', ({ dataLoss }) => dataLoss.times),
  counter('queue_connects_total', 'Connections made', ({ connection }) => connection.connects),
  counter(
    'queue_connect_failures_total',
    'Attempts failed',
    ({ connection }) => connection.failedAttempts,
  ),
];

/** What each queue's metric is now. */
export function* readMetric(
  queues: MeasuredQueues,
  { read }: QueueMetric,
): Generator<{ readonly queue: string; readonly value: number }> {
  for (const [queue, measured] of Object.entries(queues)) {
    const value = read(measured.getStats(), measured.health());
    if (value !== undefined) yield { queue, value };
  }
}

/** @throws InvalidOptionError */
export function checkQueues(owner: string, queues: MeasuredQueues): void {
  const isMeasurable = (queue: unknown): boolean =>
    typeof queue === 'object' && queue !== null && 'getStats' in queue && 'health' in queue;
  if (Object.values(queues).every(isMeasurable)) return;
  throw new InvalidOptionError(owner, 'queues', queues, 'queues by their names');
}
