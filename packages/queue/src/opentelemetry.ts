/** Publishes the numbers of queues to a meter of OpenTelemetry, which reads them when it is read itself. */
import { objectWith, optional, parseOptions, string } from '@holdfast/foundation';
import type { BatchObservableCallback, Meter } from '@opentelemetry/api';
import { type MeasuredQueues, checkQueues, queueMetrics, readMetric } from './metrics.ts';

export { type MeasuredQueues } from './metrics.ts';

export interface QueueOpenTelemetryOptions {
  meter: Meter;
  queues: MeasuredQueues;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerQueueMetrics';

const shape = {
  meter: objectWith<Meter>(['createObservableCounter', 'createObservableGauge']),
  queues: objectWith<MeasuredQueues>([]),
  prefix: optional(string({ maxLength: 100 })),
};

/**
 * Makes an instrument for each metric of the given queues, by the same names as for Prometheus; the
 * returned function stops their being read.
 * @throws InvalidOptionError
 */
export function registerQueueMetrics(options: QueueOpenTelemetryOptions): () => void {
  const { meter, queues, prefix = '' } = parseOptions(OWNER, shape, options);
  checkQueues(OWNER, queues);
  const instruments = queueMetrics.map((metric) => {
    const name = prefix + metric.name;
    const description = metric.help;
    const instrument =
      metric.kind === 'counter'
        ? meter.createObservableCounter(name, { description })
        : meter.createObservableGauge(name, { description });
    return { metric, instrument };
  });
  const observe: BatchObservableCallback = (observer) => {
    for (const { metric, instrument } of instruments) {
      for (const { queue, value } of readMetric(queues, metric)) {
        observer.observe(instrument, value, { queue });
      }
    }
  };
  const all = instruments.map(({ instrument }) => instrument);
  meter.addBatchObservableCallback(observe, all);
  return () => meter.removeBatchObservableCallback(observe, all);
}
