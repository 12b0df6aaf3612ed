/**
 * Publishes a database's numbers to a meter of OpenTelemetry by observable instruments only, which are read
 * when the meter is: no call ever pays for a metric.
 */
import type { Meter } from '@opentelemetry/api';
import { objectWith, parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import { openTelemetryMeter, publishToOpenTelemetry } from '@holdfast/foundation/opentelemetry';
import { type MeasuredDatabase, databaseCollectors } from './metrics.ts';

interface DatabaseOpenTelemetryOptions {
  database: MeasuredDatabase;
  meter: Meter;
  /** What the metrics' names begin with: for a second database of one meter. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerDatabaseMetrics';
const schema = {
  database: objectWith<MeasuredDatabase>(['getStats']),
  meter: openTelemetryMeter,
  prefix: metricPrefix,
};

/**
 * Makes an instrument for each metric; the returned function stops their being read. There is no histogram that
 * is observed, so durations are a count and a sum of seconds each.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerDatabaseMetrics(options: DatabaseOpenTelemetryOptions): () => void {
  const { database, meter, prefix } = parseOptions(OWNER, schema, options);
  const collectors = databaseCollectors(database);
  return publishToOpenTelemetry(OWNER, { meter, collectors, prefix });
}
