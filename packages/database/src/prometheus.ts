/**
 * Publishes a database's numbers to a registry of `prom-client`, which reads them when it is scraped: no call
 * ever pays for a metric. Names are those of OpenTelemetry as Prometheus writes them.
 */
import { objectWith, parseOptions } from '@holdfast/foundation';
import { Counter, Gauge, Histogram, type OpenMetricsContentType, type Registry } from 'prom-client';
import type { Histogram as Durations } from './database.ts';
import {
  type DurationMetric,
  type MeasuredDatabase,
  type Metric,
  durationMetrics,
  metrics,
} from './metrics.ts';

/** A registry of either format. */
export type PrometheusRegistry = Registry | Registry<OpenMetricsContentType>;

export interface DatabasePrometheusOptions {
  database: MeasuredDatabase;
  registry: PrometheusRegistry;
}

const OWNER = 'registerDatabaseMetrics';
const shape = {
  database: objectWith<MeasuredDatabase>(['getStats']),
  registry: objectWith<PrometheusRegistry>(['registerMetric', 'removeSingleMetric']),
};

/**
 * Registers the metrics; the returned function takes them out again.
 * @throws InvalidOptionError, or prom-client's own when a name is taken.
 */
export function registerDatabaseMetrics(options: DatabasePrometheusOptions): () => void {
  const { database, registry } = parseOptions(OWNER, shape, options);
  const made = [
    ...metrics.map((metric) => published(metric, database)),
    ...durationMetrics.map((metric) => new ReadHistogram(metric, database)),
  ];
  for (const each of made) registry.registerMetric(each);
  const names = [
    ...metrics.map(prometheusName),
    ...durationMetrics.map(({ name }) => `${underscored(name)}_seconds`),
  ];
  return () => {
    for (const name of names) registry.removeSingleMetric(name);
  };
}

function underscored(name: string): string {
  return name.replaceAll('.', '_');
}

function prometheusName({ name, kind }: Metric): string {
  return kind === 'counter' ? `${underscored(name)}_total` : underscored(name);
}

interface Description {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** None: prom-client would take its global one. */
  readonly registers: [];
}

function published(metric: Metric, database: MeasuredDatabase): Counter | Gauge {
  const { help, kind } = metric;
  const labelNames = ['pool', 'state'];
  const description: Description = {
    name: prometheusName(metric),
    help,
    labelNames,
    registers: [],
  };
  const read = (): Sample[] =>
    metric
      .read(database.getStats())
      .map(({ labels, value }) => ({ labels: shortened(labels), value }));
  return kind === 'counter' ? new ReadCounter(description, read) : new ReadGauge(description, read);
}

interface Sample {
  readonly labels: Record<string, string>;
  readonly value: number;
}

/** `db.client.connection.pool.name` is `pool` here, `db.client.connection.state` is `state`. */
function shortened(labels: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(labels).map(([name, value]) => [
    name.replace(/\.name$/, '').replace(/^.*\./, ''),
    value,
  ]);
  return Object.fromEntries(entries);
}

class ReadCounter extends Counter {
  readonly #read: () => Sample[];

  constructor(description: Description, read: () => Sample[]) {
    super(description);
    this.#read = read;
  }

  override async get(): ReturnType<Counter['get']> {
    return { ...(await super.get()), values: this.#read() };
  }
}

class ReadGauge extends Gauge {
  readonly #read: () => Sample[];

  constructor(description: Description, read: () => Sample[]) {
    super(description);
    this.#read = read;
  }

  override async get(): ReturnType<Gauge['get']> {
    return { ...(await super.get()), values: this.#read() };
  }
}

type HistogramValue = Awaited<ReturnType<Histogram['get']>>['values'][number];

class ReadHistogram extends Histogram {
  /** Says what the metric is; prom-client's own way of saying it ends in the methods below. */
  readonly #empty: Histogram;
  readonly #metric: DurationMetric;
  readonly #name: string;
  readonly #database: MeasuredDatabase;

  constructor(metric: DurationMetric, database: MeasuredDatabase) {
    const name = `${underscored(metric.name)}_seconds`;
    const description: Description = {
      name,
      help: metric.help,
      labelNames: ['pool'],
      registers: [],
    };
    super(description);
    this.#empty = new Histogram(description);
    this.#metric = metric;
    this.#name = name;
    this.#database = database;
  }

  /** What the registry asks in its place when it writes text. */
  async getForPromString(): ReturnType<Histogram['get']> {
    return this.get();
  }

  override async get(): ReturnType<Histogram['get']> {
    const values = this.#metric
      .read(this.#database.getStats())
      .flatMap(({ host, histogram }) => lines(this.#name, host, histogram));
    return { ...(await this.#empty.get()), values };
  }
}

/** Buckets count everything up to their bound; seconds, as Prometheus has it. */
function lines(
  name: string,
  pool: string,
  { boundsMs, counts, sumMs, count }: Durations,
): HistogramValue[] {
  let below = 0;
  const buckets = boundsMs.map((boundMs, at) => {
    below += counts[at] ?? 0;
    return { labels: { pool, le: boundMs / 1_000 }, value: below, metricName: `${name}_bucket` };
  });
  return [
    ...buckets,
    { labels: { pool, le: '+Inf' }, value: count, metricName: `${name}_bucket` },
    { labels: { pool }, value: sumMs / 1_000, metricName: `${name}_sum` },
    { labels: { pool }, value: count, metricName: `${name}_count` },
  ];
}
