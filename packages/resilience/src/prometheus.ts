/**
 * Publishes the numbers of policies to a registry of `prom-client`, which reads them when it is scraped:
 * no call of a policy ever pays for a metric.
 */
import { Counter, Gauge, type OpenMetricsContentType, type Registry } from 'prom-client';
import { type MeasuredPolicies, collectorsOf, measuredShape } from './metrics/measured-policies.ts';
import type { Metric, Sample } from './metrics/metric.ts';
import { MetricReader } from './metrics/metric-reader.ts';
import { MetricsRegisteredError } from './metrics/metrics-errors.ts';
import { objectWith, parseOptions } from '@holdfast/foundation';

export { type MeasuredPolicies } from './metrics/measured-policies.ts';
export { MetricsRegisteredError } from './metrics/metrics-errors.ts';

/** A registry of either format. */
export type PrometheusRegistry = Registry | Registry<OpenMetricsContentType>;

export interface PrometheusMetricsOptions extends MeasuredPolicies {
  registry: PrometheusRegistry;
}

const OWNER = 'registerPrometheusMetrics';

const shape = {
  ...measuredShape,
  registry: objectWith<PrometheusRegistry>([
    'registerMetric',
    'getSingleMetric',
    'removeSingleMetric',
  ]),
};

/**
 * Registers the metrics of the given policies. The returned function takes them out again; the numbers
 * are the policies' own, so registering anew, with more policies, forgets nothing.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerPrometheusMetrics(options: PrometheusMetricsOptions): () => void {
  const settled = parseOptions(OWNER, shape, options);
  const { registry, prefix } = settled;
  const reader = new MetricReader(collectorsOf(OWNER, settled));
  const taken = reader.metrics
    .map(({ name }) => prefix + name)
    .find((name) => registry.getSingleMetric(name) !== undefined);
  if (taken !== undefined) throw new MetricsRegisteredError(OWNER, taken);
  const registered = reader.metrics.map((metric) => {
    const name = prefix + metric.name;
    const made = publish(name, metric, reader);
    registry.registerMetric(made);
    return { name, made };
  });
  return () => {
    for (const { name, made } of registered) {
      if (registry.getSingleMetric(name) === made) registry.removeSingleMetric(name);
    }
  };
}

function publish(name: string, metric: Metric, reader: MetricReader): Counter | Gauge {
  const { help, labelNames } = metric;
  const description: Description = { name, help, labelNames, registers: [] };
  const read = (): Promise<Sample[]> => reader.samplesOf(metric);
  return metric.kind === 'counter'
    ? new ReadCounter(description, read)
    : new ReadGauge(description, read);
}

interface Description {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** None: prom-client would take its global one, and registers before it is known what all are called. */
  readonly registers: [];
}

/** A counter whose values are read where they are counted. */
class ReadCounter extends Counter {
  readonly #read: () => Promise<Sample[]>;

  constructor(description: Description, read: () => Promise<Sample[]>) {
    super(description);
    this.#read = read;
  }

  override async get(): ReturnType<Counter['get']> {
    const values = await this.#read();
    return { ...(await super.get()), values };
  }
}

/** A gauge whose values are read where they are kept. */
class ReadGauge extends Gauge {
  readonly #read: () => Promise<Sample[]>;

  constructor(description: Description, read: () => Promise<Sample[]>) {
    super(description);
    this.#read = read;
  }

  override async get(): ReturnType<Gauge['get']> {
    const values = await this.#read();
    return { ...(await super.get()), values };
  }
}
