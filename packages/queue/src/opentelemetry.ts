/** Publishes the numbers of queues to a meter of OpenTelemetry, which reads them when it is read itself; and their spans. */
import { parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import { openTelemetryMeter, publishToOpenTelemetry } from '@holdfast/foundation/opentelemetry';
import type { Meter } from '@opentelemetry/api';
import { type MeasuredQueues, measuredQueues, queueCollectors } from './metrics.ts';

export { type MeasuredQueues } from './metrics.ts';
export { type QueueTracingOptions, queueTracing } from './tracing/opentelemetry-tracing.ts';

/** Options of `registerOpenTelemetryMetrics` for queues. */
export interface QueueOpenTelemetryOptions {
  /** The meter of OpenTelemetry on which the instruments are made. */
  meter: Meter;
  /** The queues that are measured, by the name that is their label. */
  queues: MeasuredQueues;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerQueueMetrics';
const schema = { meter: openTelemetryMeter, queues: measuredQueues, prefix: metricPrefix };

/**
 * Makes an instrument for each metric of the given queues, by the same names as for Prometheus; the
 * returned function stops their being read.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerQueueMetrics(options: QueueOpenTelemetryOptions): () => void {
  const { meter, queues, prefix } = parseOptions(OWNER, schema, options);
  return publishToOpenTelemetry(OWNER, { meter, collectors: queueCollectors(queues), prefix });
}
