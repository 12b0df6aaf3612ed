/** Publishes the numbers of storages to a meter of OpenTelemetry, which reads them when it is read itself. */
import { objectWith, optional, parseOptions, string } from '@holdfast/foundation';
import type { BatchObservableCallback, Meter } from '@opentelemetry/api';
import { type MeasuredStorages, checkStorages, storageMetrics } from './metrics.ts';

export { type MeasuredStorages } from './metrics.ts';

export interface StorageOpenTelemetryOptions {
  meter: Meter;
  storages: MeasuredStorages;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerStorageMetrics';

const shape = {
  meter: objectWith<Meter>(['createObservableCounter', 'createObservableGauge']),
  storages: objectWith<MeasuredStorages>([]),
  prefix: optional(string({ maxLength: 100 })),
};

/**
 * Makes an instrument for each metric of the given storages, by the same names as for Prometheus; the
 * returned function stops their being read.
 * @throws InvalidOptionError
 */
export function registerStorageMetrics(options: StorageOpenTelemetryOptions): () => void {
  const { meter, storages, prefix = '' } = parseOptions(OWNER, shape, options);
  checkStorages(OWNER, storages);
  const instruments = storageMetrics.map(({ name, help: description, kind, read }) => ({
    read,
    instrument:
      kind === 'counter'
        ? meter.createObservableCounter(prefix + name, { description })
        : meter.createObservableGauge(prefix + name, { description }),
  }));
  const observe: BatchObservableCallback = (observer) => {
    for (const { read, instrument } of instruments) {
      for (const { labels, value } of read(storages)) observer.observe(instrument, value, labels);
    }
  };
  const all = instruments.map(({ instrument }) => instrument);
  meter.addBatchObservableCallback(observe, all);
  return () => meter.removeBatchObservableCallback(observe, all);
}
