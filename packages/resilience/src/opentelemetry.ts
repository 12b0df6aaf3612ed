/**
 * Publishes the numbers of policies to a meter of OpenTelemetry by observable instruments only, which are
 * read when the meter is: no call of a policy ever pays for a metric.
 */
import type { Meter } from '@opentelemetry/api';
import { parseOptions } from '@holdfast/foundation';
import { openTelemetryMeter, publishToOpenTelemetry } from '@holdfast/foundation/opentelemetry';
import { type MeasuredPolicies, collectorsOf, measuredShape } from './metrics/measured-policies.ts';

export { MetricsRegisteredError } from '@holdfast/foundation/metrics';
export { type MeasuredPolicies } from './metrics/measured-policies.ts';

interface OpenTelemetryMetricsOptions extends MeasuredPolicies {
  meter: Meter;
}

const OWNER = 'registerOpenTelemetryMetrics';
const schema = { ...measuredShape, meter: openTelemetryMeter };

/**
 * Makes an instrument for each metric of the given policies, by the same names as for Prometheus. The
 * returned function stops their being read; the numbers are the policies' own, so registering anew, with
 * more policies, forgets nothing.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerOpenTelemetryMetrics(options: OpenTelemetryMetricsOptions): () => void {
  const { meter, prefix, ...policies } = parseOptions(OWNER, schema, options);
  const collectors = collectorsOf(OWNER, policies);
  return publishToOpenTelemetry(OWNER, { meter, collectors, prefix });
}
