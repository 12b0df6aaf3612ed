/** Publishes the numbers of queues to a registry of `prom-client`, which reads them when it is scraped. */
import { parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import {
  type PrometheusRegistry,
  prometheusRegistry,
  publishToPrometheus,
} from '@holdfast/foundation/prometheus';
import { type MeasuredQueues, measuredQueues, queueCollectors } from './metrics.ts';

export { type MeasuredQueues } from './metrics.ts';

/** Options of `registerPrometheusMetrics` for queues. */
export interface QueuePrometheusOptions {
  /** The registry of prom-client in which the metrics are registered. */
  registry: PrometheusRegistry;
  /** The queues that are measured, by the name that is their label. */
  queues: MeasuredQueues;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerQueueMetrics';
const schema = { registry: prometheusRegistry, queues: measuredQueues, prefix: metricPrefix };

/**
 * Registers the metrics of the given queues; the returned function takes them out again.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerQueueMetrics(options: QueuePrometheusOptions): () => void {
  const { registry, queues, prefix } = parseOptions(OWNER, schema, options);
  return publishToPrometheus(OWNER, { registry, collectors: queueCollectors(queues), prefix });
}
