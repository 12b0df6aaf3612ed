/** Publishes the numbers of caches to a meter of OpenTelemetry, which reads them when it is read itself. */
import { parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import { openTelemetryMeter, publishToOpenTelemetry } from '@holdfast/foundation/opentelemetry';
import type { Meter } from '@opentelemetry/api';
import { type MeasuredCaches, measuredCaches, cacheCollectors } from './metrics.ts';

export { type MeasuredCaches } from './metrics.ts';

/** Options of `registerOpenTelemetryMetrics` for caches. */
export interface CacheOpenTelemetryOptions {
  /** The meter of OpenTelemetry on which the instruments are made. */
  meter: Meter;
  /** The caches that are measured, by the name that is their label. */
  caches: MeasuredCaches;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerCacheMetrics';
const schema = { meter: openTelemetryMeter, caches: measuredCaches, prefix: metricPrefix };

/**
 * Makes an instrument for each metric of the given caches, by the same names as for Prometheus; the
 * returned function stops their being read.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerCacheMetrics(options: CacheOpenTelemetryOptions): () => void {
  const { meter, caches, prefix } = parseOptions(OWNER, schema, options);
  return publishToOpenTelemetry(OWNER, { meter, collectors: cacheCollectors(caches), prefix });
}
