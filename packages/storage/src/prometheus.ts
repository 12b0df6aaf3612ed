/** Publishes the numbers of storages to a registry of `prom-client`, which reads them when it is scraped. */
import { objectWith, optional, parseOptions, string } from '@holdfast/foundation';
import { Counter, Gauge, type OpenMetricsContentType, type Registry } from 'prom-client';
import {
  type MeasuredStorages,
  type StorageMetric,
  checkStorages,
  storageMetrics,
} from './metrics.ts';

export { type MeasuredStorages } from './metrics.ts';

export interface StoragePrometheusOptions {
  registry: Registry | Registry<OpenMetricsContentType>;
  storages: MeasuredStorages;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerStorageMetrics';

const shape = {
  registry: objectWith<StoragePrometheusOptions['registry']>([
    'registerMetric',
    'removeSingleMetric',
  ]),
  storages: objectWith<MeasuredStorages>([]),
  prefix: optional(string({ maxLength: 100 })),
};

/**
 * Registers the metrics of the given storages; the returned function takes them out again.
 * @throws InvalidOptionError; what the registry throws when it has metrics of these names.
 */
export function registerStorageMetrics(options: StoragePrometheusOptions): () => void {
  const { registry, storages, prefix = '' } = parseOptions(OWNER, shape, options);
  checkStorages(OWNER, storages);
  const registered = storageMetrics.map((metric) => {
    const name = prefix + metric.name;
    registry.registerMetric(published(name, metric, storages));
    return name;
  });
  return () => {
    for (const name of registered.splice(0)) registry.removeSingleMetric(name);
  };
}

function published(
  name: string,
  { help, kind, labelNames, read }: StorageMetric,
  storages: MeasuredStorages,
): Counter | Gauge {
  const description = { name, help, labelNames: [...labelNames], registers: [] };
  return kind === 'gauge'
    ? new Gauge({
        ...description,
        collect() {
          this.reset();
          for (const { labels, value } of read(storages)) this.set(labels, value);
        },
      })
    : new Counter({
        ...description,
        collect() {
          this.reset();
          for (const { labels, value } of read(storages)) this.inc(labels, value);
        },
      });
}
