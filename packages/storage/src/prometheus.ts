/** Publishes the numbers of storages to a registry of `prom-client`, which reads them when it is scraped. */
import { parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import {
  type PrometheusRegistry,
  prometheusRegistry,
  publishToPrometheus,
} from '@holdfast/foundation/prometheus';
import { type MeasuredStorages, measuredStorages, storageCollectors } from './metrics.ts';

export { type MeasuredStorages } from './metrics.ts';

/** Options of `registerPrometheusMetrics` for storages. */
export interface StoragePrometheusOptions {
  /** The registry of prom-client in which the metrics are registered. */
  registry: PrometheusRegistry;
  /** The storages that are measured, by the name that is their label. */
  storages: MeasuredStorages;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerStorageMetrics';
const schema = { registry: prometheusRegistry, storages: measuredStorages, prefix: metricPrefix };

/**
 * Registers the metrics of the given storages; the returned function takes them out again.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerStorageMetrics(options: StoragePrometheusOptions): () => void {
  const { registry, storages, prefix } = parseOptions(OWNER, schema, options);
  return publishToPrometheus(OWNER, { registry, collectors: storageCollectors(storages), prefix });
}
