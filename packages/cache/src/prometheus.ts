/** Publishes the numbers of caches to a registry of `prom-client`, which reads them when it is scraped. */
import { parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import {
  type PrometheusRegistry,
  prometheusRegistry,
  publishToPrometheus,
} from '@holdfast/foundation/prometheus';
import { type MeasuredCaches, measuredCaches, cacheCollectors } from './metrics.ts';

export { type MeasuredCaches } from './metrics.ts';

/** Options of `registerPrometheusMetrics` for caches. */
export interface CachePrometheusOptions {
  /** The registry of prom-client in which the metrics are registered. */
  registry: PrometheusRegistry;
  /** The caches that are measured, by the name that is their label. */
  caches: MeasuredCaches;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerCacheMetrics';
const schema = { registry: prometheusRegistry, caches: measuredCaches, prefix: metricPrefix };

/**
 * Registers the metrics of the given caches; the returned function takes them out again.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerCacheMetrics(options: CachePrometheusOptions): () => void {
  const { registry, caches, prefix } = parseOptions(OWNER, schema, options);
  return publishToPrometheus(OWNER, { registry, collectors: cacheCollectors(caches), prefix });
}
