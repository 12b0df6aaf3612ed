import type { Collector, Metric, MetricSample } from './metric.ts';

/**
 * Reads all numbers of a registration at one go: the metrics that one scrape asks for, each by itself,
 * share a reading.
 */
export class MetricReader {
  readonly metrics: readonly Metric[];
  readonly #collectors: readonly Collector[];
  #reading: Promise<ReadonlyMap<Metric, MetricSample[]>> | undefined;

  constructor(collectors: readonly Collector[]) {
    this.#collectors = collectors;
    this.metrics = collectors.flatMap(({ metrics }) => metrics);
  }

  read(): Promise<ReadonlyMap<Metric, MetricSample[]>> {
    this.#reading ??= this.#collect().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async samplesOf(metric: Metric): Promise<MetricSample[]> {
    const reading = await this.read();
    return reading.get(metric) ?? [];
  }

  async #collect(): Promise<ReadonlyMap<Metric, MetricSample[]>> {
    const samples = new Map<Metric, MetricSample[]>();
    for (const { metrics, collect } of this.#collectors) {
      for (const metric of metrics) samples.set(metric, []);
      const done = collect((metric, labels, value) => samples.get(metric)?.push({ labels, value }));
      if (done !== undefined) await done;
    }
    return samples;
  }
}
