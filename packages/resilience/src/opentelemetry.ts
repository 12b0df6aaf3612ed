/**
 * Publishes the numbers of policies to a meter of OpenTelemetry by observable instruments only, which are
 * read when the meter is: no call of a policy ever pays for a metric.
 */
import type { BatchObservableCallback, Meter } from '@opentelemetry/api';
import { type MeasuredPolicies, collectorsOf, measuredShape } from './metrics/measured-policies.ts';
import { MetricReader } from './metrics/metric-reader.ts';
import { MetricsRegisteredError } from './metrics/metrics-errors.ts';
import { objectWith, parseOptions } from '@holdfast/foundation';

export { type MeasuredPolicies } from './metrics/measured-policies.ts';
export { MetricsRegisteredError } from './metrics/metrics-errors.ts';

export interface OpenTelemetryMetricsOptions extends MeasuredPolicies {
  meter: Meter;
}

const OWNER = 'registerOpenTelemetryMetrics';

const shape = {
  ...measuredShape,
  meter: objectWith<Meter>([
    'createObservableCounter',
    'createObservableGauge',
    'addBatchObservableCallback',
    'removeBatchObservableCallback',
  ]),
};

/** The names registered with each meter: it cannot be asked for them. */
const registered = new WeakMap<Meter, Set<string>>();

/**
 * Makes an instrument for each metric of the given policies, by the same names as for Prometheus. The
 * returned function stops their being read; the numbers are the policies' own, so registering anew, with
 * more policies, forgets nothing.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerOpenTelemetryMetrics(options: OpenTelemetryMetricsOptions): () => void {
  const settled = parseOptions(OWNER, shape, options);
  const { meter, prefix } = settled;
  const reader = new MetricReader(collectorsOf(OWNER, settled));
  const names = registered.get(meter) ?? new Set<string>();
  const own = reader.metrics.map(({ name }) => prefix + name);
  const taken = own.find((name) => names.has(name));
  if (taken !== undefined) throw new MetricsRegisteredError(OWNER, taken);
  registered.set(meter, names);
  for (const name of own) names.add(name);

  // Without a unit, because exporters would add it to names that have to stay as they are.
  const instruments = reader.metrics.map(({ name, kind, help: description }) =>
    kind === 'counter'
      ? meter.createObservableCounter(prefix + name, { description })
      : meter.createObservableGauge(prefix + name, { description }),
  );
  const observe: BatchObservableCallback = async (observer) => {
    const reading = await reader.read();
    for (const [index, metric] of reader.metrics.entries()) {
      const instrument = instruments[index];
      if (instrument === undefined) continue;
      for (const { labels, value } of reading.get(metric) ?? []) {
        observer.observe(instrument, value, labels);
      }
    }
  };
  meter.addBatchObservableCallback(observe, instruments);
  let isRegistered = true;
  return () => {
    if (!isRegistered) return;
    isRegistered = false;
    meter.removeBatchObservableCallback(observe, instruments);
    for (const name of own) names.delete(name);
  };
}
