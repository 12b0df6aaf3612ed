/**
 * Publishes metrics to a meter of OpenTelemetry by observable instruments only, which are read when the meter
 * is: no call of a package ever pays for a metric.
 */
import type { Attributes, BatchObservableCallback, Meter, Observable } from '@opentelemetry/api';
import { MetricsRegisteredError } from './metrics/errors.ts';
import type { Collector, Labels, Metric, MetricValue } from './metrics/metric.ts';
import { MetricReader } from './metrics/metric-reader.ts';
import { objectWith, type OptionRule } from './options.ts';

/** The rule of an option that is a `Meter` of OpenTelemetry. */
export const openTelemetryMeter: OptionRule<Meter> = objectWith<Meter>([
  'createObservableCounter',
  'createObservableGauge',
  'addBatchObservableCallback',
  'removeBatchObservableCallback',
]);

interface OpenTelemetryPublication {
  readonly meter: Meter;
  readonly collectors: readonly Collector[];
  /** What every metric's name begins with. */
  readonly prefix: string;
}

/** The instruments of one metric, and what they observe of a value. */
interface MetricInstruments {
  readonly metric: Metric;
  readonly observables: readonly Observable[];
  readonly numbersOf: (value: MetricValue) => readonly number[];
}

/** The names registered with each meter, which cannot list them itself. */
const registered = new WeakMap<Meter, Set<string>>();

/**
 * Makes an instrument for each metric. There is no observable histogram, so durations are two counters: how
 * many, and the sum of their seconds. The returned function stops their being read; the numbers belong to
 * their sources, so registering anew, with more sources, forgets nothing.
 * @param owner the public function on whose behalf it registers; opens the error's message.
 * @throws MetricsRegisteredError
 */
export function publishToOpenTelemetry(
  owner: string,
  { meter, collectors, prefix }: OpenTelemetryPublication,
): () => void {
  const reader = new MetricReader(collectors);
  const names = registered.get(meter) ?? new Set<string>();
  const own = reader.metrics.map((metric) => prefix + nameOf(metric));
  const taken = own.find((name) => names.has(name));
  if (taken !== undefined) throw new MetricsRegisteredError(owner, taken);
  registered.set(meter, names);
  for (const name of own) names.add(name);

  const instruments = reader.metrics.map((metric) => instrumentsOf(meter, prefix, metric));
  const observe: BatchObservableCallback = async (observer) => {
    const reading = await reader.read();
    for (const { metric, observables, numbersOf } of instruments) {
      for (const { labels, value } of reading.get(metric) ?? []) {
        const attributes = attributesOf(metric, labels);
        for (const [index, number] of numbersOf(value).entries()) {
          const observable = observables[index];
          if (observable !== undefined) observer.observe(observable, number, attributes);
        }
      }
    }
  };
  const all = instruments.flatMap(({ observables }) => observables);
  meter.addBatchObservableCallback(observe, all);
  let isRegistered = true;
  return () => {
    if (!isRegistered) return;
    isRegistered = false;
    meter.removeBatchObservableCallback(observe, all);
    for (const name of own) names.delete(name);
  };
}

/** Plain numbers have no unit, because exporters would add it to names that have to stay as they are. */
function instrumentsOf(meter: Meter, prefix: string, metric: Metric): MetricInstruments {
  const name = prefix + nameOf(metric);
  const description = metric.help;
  if (metric.kind === 'histogram') {
    return {
      metric,
      observables: [
        meter.createObservableCounter(`${name}.count`, { description }),
        meter.createObservableCounter(`${name}.sum`, { description, unit: 's' }),
      ],
      numbersOf: (value) => (typeof value === 'number' ? [] : [value.count, value.sumMs / 1_000]),
    };
  }
  const observable =
    metric.kind === 'counter'
      ? meter.createObservableCounter(name, { description })
      : meter.createObservableGauge(name, { description });
  return {
    metric,
    observables: [observable],
    numbersOf: (value) => (typeof value === 'number' ? [value] : []),
  };
}

function nameOf({ name, openTelemetry }: Metric): string {
  return openTelemetry?.name ?? name;
}

function attributesOf({ openTelemetry }: Metric, labels: Labels): Attributes {
  if (openTelemetry === undefined) return labels;
  return Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [openTelemetry.attributes[name] ?? name, value]),
  );
}
