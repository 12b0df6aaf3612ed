/**
 * Publishes the numbers of policies to a registry of `prom-client`, which reads them when it is scraped:
 * no call of a policy ever pays for a metric.
 */
import { parseOptions } from '@holdfast/foundation';
import {
  type PrometheusRegistry,
  prometheusRegistry,
  publishToPrometheus,
} from '@holdfast/foundation/prometheus';
import { type MeasuredPolicies, collectorsOf, measuredShape } from './metrics/measured-policies.ts';

export { MetricsRegisteredError } from '@holdfast/foundation/metrics';
export { type PrometheusRegistry } from '@holdfast/foundation/prometheus';
export { type MeasuredPolicies } from './metrics/measured-policies.ts';

interface PrometheusMetricsOptions extends MeasuredPolicies {
  registry: PrometheusRegistry;
}

const OWNER = 'registerPrometheusMetrics';
const schema = { ...measuredShape, registry: prometheusRegistry };

/**
 * Registers the metrics of the given policies. The returned function takes them out again; the numbers
 * are the policies' own, so registering anew, with more policies, forgets nothing.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerPrometheusMetrics(options: PrometheusMetricsOptions): () => void {
  const { registry, prefix, ...policies } = parseOptions(OWNER, schema, options);
  const collectors = collectorsOf(OWNER, policies);
  return publishToPrometheus(OWNER, { registry, collectors, prefix });
}
