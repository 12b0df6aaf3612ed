/** Publishes the numbers of health, rate limits, degradation and shedding to a registry of `prom-client`. */
import { parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import {
  type PrometheusRegistry,
  prometheusRegistry,
  publishToPrometheus,
} from '@holdfast/foundation/prometheus';
import { type MeasuredOperations, measuredOperations, operationsCollectors } from './metrics.ts';

export type { MeasuredOperations } from './metrics.ts';

/** Options of `registerOperationsMetrics`. */
export interface OperationsPrometheusOptions extends MeasuredOperations {
  /** The registry of prom-client in which the metrics are registered. */
  registry: PrometheusRegistry;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerOperationsMetrics';
const schema = { registry: prometheusRegistry, prefix: metricPrefix, ...measuredOperations };

/**
 * Registers the metrics of what is given; the returned function takes them out again.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerOperationsMetrics(options: OperationsPrometheusOptions): () => void {
  const { registry, prefix, ...measured } = parseOptions(OWNER, schema, options);
  return publishToPrometheus(OWNER, {
    registry,
    collectors: operationsCollectors(measured),
    prefix,
  });
}
