/**
 * Publishes a database's numbers to a registry of `prom-client`, which reads them when it is scraped: no call
 * ever pays for a metric. Names are those of OpenTelemetry as Prometheus writes them.
 */
import { objectWith, parseOptions } from '@holdfast/foundation';
import {
  type PrometheusRegistry,
  prometheusRegistry,
  publishToPrometheus,
} from '@holdfast/foundation/prometheus';
import { type MeasuredDatabase, databaseCollectors } from './metrics.ts';

interface DatabasePrometheusOptions {
  database: MeasuredDatabase;
  registry: PrometheusRegistry;
}

const OWNER = 'registerDatabaseMetrics';
const schema = {
  database: objectWith<MeasuredDatabase>(['getStats']),
  registry: prometheusRegistry,
};

/**
 * Registers the metrics; the returned function takes them out again.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerDatabaseMetrics(options: DatabasePrometheusOptions): () => void {
  const { database, registry } = parseOptions(OWNER, schema, options);
  const collectors = databaseCollectors(database);
  return publishToPrometheus(OWNER, { registry, collectors, prefix: '' });
}
