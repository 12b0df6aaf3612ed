/** Publishes the numbers of resolvers to a registry of `prom-client`, which reads them when it is scraped. */
import { parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import {
  type PrometheusRegistry,
  prometheusRegistry,
  publishToPrometheus,
} from '@holdfast/foundation/prometheus';
import { type MeasuredResolvers, measuredResolvers, resolverCollectors } from './metrics.ts';

export { type MeasuredResolvers } from './metrics.ts';

/** Options of `registerNetworkMetrics`. */
export interface NetworkPrometheusOptions {
  /** The registry of prom-client in which the metrics are registered. */
  registry: PrometheusRegistry;
  /** The resolvers that are measured, by the name that is their label. */
  resolvers: MeasuredResolvers;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerNetworkMetrics';
const schema = { registry: prometheusRegistry, resolvers: measuredResolvers, prefix: metricPrefix };

/**
 * Registers the metrics of the given resolvers; the returned function takes them out again.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerNetworkMetrics(options: NetworkPrometheusOptions): () => void {
  const { registry, resolvers, prefix } = parseOptions(OWNER, schema, options);
  return publishToPrometheus(OWNER, {
    registry,
    collectors: resolverCollectors(resolvers),
    prefix,
  });
}
