/** Publishes the numbers of resolvers to a meter of OpenTelemetry, which reads them when it is read itself. */
import { parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import { openTelemetryMeter, publishToOpenTelemetry } from '@holdfast/foundation/opentelemetry';
import type { Meter } from '@opentelemetry/api';
import { type MeasuredResolvers, measuredResolvers, resolverCollectors } from './metrics.ts';

export { type MeasuredResolvers } from './metrics.ts';

/** Options of `registerOpenTelemetryMetrics` for resolvers. */
export interface NetworkOpenTelemetryOptions {
  /** The meter of OpenTelemetry on which the instruments are made. */
  meter: Meter;
  /** The resolvers that are measured, by the name that is their label. */
  resolvers: MeasuredResolvers;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerNetworkMetrics';
const schema = { meter: openTelemetryMeter, resolvers: measuredResolvers, prefix: metricPrefix };

/**
 * Makes an instrument for each metric of the given resolvers, by the same names as for Prometheus; the
 * returned function stops their being read.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerNetworkMetrics(options: NetworkOpenTelemetryOptions): () => void {
  const { meter, resolvers, prefix } = parseOptions(OWNER, schema, options);
  return publishToOpenTelemetry(OWNER, {
    meter,
    collectors: resolverCollectors(resolvers),
    prefix,
  });
}
