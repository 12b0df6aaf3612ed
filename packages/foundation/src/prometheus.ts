/**
 * Publishes metrics to a registry of `prom-client`, which reads them when it is scraped: no call of a package
 * ever pays for a metric.
 */
import { Counter, Gauge, Histogram } from 'prom-client';
import { MetricsRegisteredError } from './metrics/errors.ts';
import type { Collector, DurationCounts, Metric, MetricSample } from './metrics/metric.ts';
import { MetricReader } from './metrics/metric-reader.ts';
import { objectWith, type OptionRule } from './options.ts';

/** The part of a registry that is used; a `Registry` of prom-client 14 and 15 has it, in either format. */
export interface PrometheusRegistry {
  registerMetric(metric: object): void;
  getSingleMetric(name: string): unknown;
  removeSingleMetric(name: string): void;
}

/** The rule of an option that is a registry of prom-client. */
export const prometheusRegistry: OptionRule<PrometheusRegistry> = objectWith<PrometheusRegistry>([
  'registerMetric',
  'getSingleMetric',
  'removeSingleMetric',
]);

interface PrometheusPublication {
  readonly registry: PrometheusRegistry;
  readonly collectors: readonly Collector[];
  /** What every metric's name begins with. */
  readonly prefix: string;
}

/**
 * Registers the metrics. The returned function takes them out again; the numbers belong to their sources, so
 * registering anew, with more sources, forgets nothing.
 * @param owner the public function on whose behalf it registers; opens the error's message.
 * @throws MetricsRegisteredError
 */
export function publishToPrometheus(
  owner: string,
  { registry, collectors, prefix }: PrometheusPublication,
): () => void {
  const reader = new MetricReader(collectors);
  const taken = reader.metrics
    .map(({ name }) => prefix + name)
    .find((name) => registry.getSingleMetric(name) !== undefined);
  if (taken !== undefined) throw new MetricsRegisteredError(owner, taken);
  const registered = reader.metrics.map((metric) => {
    const name = prefix + metric.name;
    const made = instrumentOf(name, metric, () => reader.samplesOf(metric));
    registry.registerMetric(made);
    return { name, made };
  });
  return () => {
    for (const { name, made } of registered) {
      if (registry.getSingleMetric(name) === made) registry.removeSingleMetric(name);
    }
  };
}

interface Description {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** None: prom-client would take its global one, and registers before it is known what all are called. */
  readonly registers: [];
}

type ReadSamples = () => Promise<MetricSample[]>;

function instrumentOf(
  name: string,
  { kind, help, labelNames }: Metric,
  read: ReadSamples,
): Counter | Gauge | Histogram {
  const description: Description = { name, help, labelNames, registers: [] };
  if (kind === 'counter') return new ReadCounter(description, read);
  if (kind === 'gauge') return new ReadGauge(description, read);
  return new ReadHistogram(description, read);
}

function isNumber(sample: MetricSample): sample is MetricSample & { readonly value: number } {
  return typeof sample.value === 'number';
}

/** A counter whose values are read where they are counted. */
class ReadCounter extends Counter {
  readonly #read: ReadSamples;

  constructor(description: Description, read: ReadSamples) {
    super(description);
    this.#read = read;
  }

  override async get(): ReturnType<Counter['get']> {
    const values = (await this.#read()).filter(isNumber);
    return { ...(await super.get()), values };
  }
}

/** A gauge whose values are read where they are kept. */
class ReadGauge extends Gauge {
  readonly #read: ReadSamples;

  constructor(description: Description, read: ReadSamples) {
    super(description);
    this.#read = read;
  }

  override async get(): ReturnType<Gauge['get']> {
    const values = (await this.#read()).filter(isNumber);
    return { ...(await super.get()), values };
  }
}

type HistogramValue = Awaited<ReturnType<Histogram['get']>>['values'][number];

/** A histogram of durations that are counted elsewhere; in seconds, as Prometheus has it. */
class ReadHistogram extends Histogram {
  /** Describes the metric; prom-client's own description ends in the methods overridden below. */
  readonly #empty: Histogram;
  readonly #name: string;
  readonly #read: ReadSamples;

  constructor(description: Description, read: ReadSamples) {
    super(description);
    this.#empty = new Histogram(description);
    this.#name = description.name;
    this.#read = read;
  }

  /** What the registry calls instead of `get` when it writes text. */
  async getForPromString(): ReturnType<Histogram['get']> {
    return this.get();
  }

  override async get(): ReturnType<Histogram['get']> {
    const values = (await this.#read()).flatMap(({ labels, value }) =>
      typeof value === 'number' ? [] : histogramValues(this.#name, labels, value),
    );
    return { ...(await this.#empty.get()), values };
  }
}

/** Each bucket counts everything up to its bound. */
function histogramValues(
  name: string,
  labels: MetricSample['labels'],
  { boundsMs, counts, sumMs, count }: DurationCounts,
): HistogramValue[] {
  let below = 0;
  const bucket = (le: number | string, value: number): HistogramValue => ({
    labels: { ...labels, le },
    value,
    metricName: `${name}_bucket`,
  });
  const buckets = boundsMs.map((boundMs, index) => {
    below += counts[index] ?? 0;
    return bucket(boundMs / 1_000, below);
  });
  return [
    ...buckets,
    bucket('+Inf', count),
    { labels, value: sumMs / 1_000, metricName: `${name}_sum` },
    { labels, value: count, metricName: `${name}_count` },
  ];
}
