/**
 * Publishes a database's numbers to a registry of `prom-client`, which reads them when it is scraped: no call
 * ever pays for a metric. Names are those of OpenTelemetry as Prometheus writes them.
 */
import { objectWith, parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import {
  type PrometheusRegistry,
  prometheusRegistry,
  publishToPrometheus,
} from '@holdfast/foundation/prometheus';
import { type MeasuredDatabase, databaseCollectors } from './metrics.ts';

interface DatabasePrometheusOptions {
  database: MeasuredDatabase;
  registry: PrometheusRegistry;
  /** What the metrics' names begin with: for a second database of one registry. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerDatabaseMetrics';
const schema = {
  database: objectWith<MeasuredDatabase>(['getStats']),
  registry: prometheusRegistry,
  prefix: metricPrefix,
};

/**
 * Registers the metrics; the returned function takes them out again.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerDatabaseMetrics(options: DatabasePrometheusOptions): () => void {
  const { database, registry, prefix } = parseOptions(OWNER, schema, options);
  const collectors = databaseCollectors(database);
  return publishToPrometheus(OWNER, { registry, collectors, prefix });
}
