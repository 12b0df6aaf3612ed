/**
 * Publishes a database's numbers to a meter of OpenTelemetry by observable instruments only, which are read
 * when the meter is: no call ever pays for a metric.
 */
import type { BatchObservableCallback, Meter } from '@opentelemetry/api';
import { objectWith, parseOptions } from '@holdfast/foundation';
import { type MeasuredDatabase, POOL_LABEL, durationMetrics, metrics } from './metrics.ts';

export interface DatabaseOpenTelemetryOptions {
  database: MeasuredDatabase;
  meter: Meter;
}

const OWNER = 'registerDatabaseMetrics';
const shape = {
  database: objectWith<MeasuredDatabase>(['getStats']),
  meter: objectWith<Meter>([
    'createObservableCounter',
    'createObservableGauge',
    'addBatchObservableCallback',
    'removeBatchObservableCallback',
  ]),
};

/**
 * Makes an instrument for each metric; the returned function stops their being read. There is no histogram that
 * is observed, so durations are a count and a sum of seconds each.
 * @throws InvalidOptionError
 */
export function registerDatabaseMetrics(options: DatabaseOpenTelemetryOptions): () => void {
  const { database, meter } = parseOptions(OWNER, shape, options);
  const plain = metrics.map((metric) => {
    const { name, help: description, kind } = metric;
    const instrument =
      kind === 'counter'
        ? meter.createObservableCounter(name, { description })
        : meter.createObservableGauge(name, { description });
    return { metric, instrument };
  });
  const timed = durationMetrics.map((metric) => {
    const { name, help: description } = metric;
    return {
      metric,
      count: meter.createObservableCounter(`${name}.count`, { description }),
      sum: meter.createObservableCounter(`${name}.sum`, { description, unit: 's' }),
    };
  });
  const observe: BatchObservableCallback = (observer) => {
    const stats = database.getStats();
    for (const { metric, instrument } of plain) {
      for (const { labels, value } of metric.read(stats))
        observer.observe(instrument, value, labels);
    }
    for (const { metric, count, sum } of timed) {
      for (const { host, histogram } of metric.read(stats)) {
        observer.observe(count, histogram.count, { [POOL_LABEL]: host });
        observer.observe(sum, histogram.sumMs / 1_000, { [POOL_LABEL]: host });
      }
    }
  };
  const instruments = [
    ...plain.map(({ instrument }) => instrument),
    ...timed.flatMap(({ count, sum }) => [count, sum]),
  ];
  meter.addBatchObservableCallback(observe, instruments);
  return () => meter.removeBatchObservableCallback(observe, instruments);
}
