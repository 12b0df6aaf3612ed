/** Publishes the numbers of queues to a registry of `prom-client`, which reads them when it is scraped. */
import { objectWith, optional, parseOptions, string } from '@holdfast/foundation';
import { Counter, Gauge, type OpenMetricsContentType, type Registry } from 'prom-client';
import { type MeasuredQueues, checkQueues, queueMetrics, readMetric } from './metrics.ts';

export { type MeasuredQueues } from './metrics.ts';

export interface QueuePrometheusOptions {
  registry: Registry | Registry<OpenMetricsContentType>;
  queues: MeasuredQueues;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerQueueMetrics';

const shape = {
  registry: objectWith<QueuePrometheusOptions['registry']>([
    'registerMetric',
    'removeSingleMetric',
  ]),
  queues: objectWith<MeasuredQueues>([]),
  prefix: optional(string({ maxLength: 100 })),
};

/**
 * Registers the metrics of the given queues; the returned function takes them out again.
 * @throws InvalidOptionError; what the registry throws when it has metrics of these names.
 */
export function registerQueueMetrics(options: QueuePrometheusOptions): () => void {
  const { registry, queues, prefix = '' } = parseOptions(OWNER, shape, options);
  checkQueues(OWNER, queues);
  const registered = queueMetrics.map((metric) => {
    const description = { name: prefix + metric.name, help: metric.help, labelNames: ['queue'] };
    const made =
      metric.kind === 'gauge'
        ? new Gauge({
            ...description,
            registers: [],
            collect() {
              this.reset();
              for (const { queue, value } of readMetric(queues, metric)) this.set({ queue }, value);
            },
          })
        : new Counter({
            ...description,
            registers: [],
            collect() {
              this.reset();
              for (const { queue, value } of readMetric(queues, metric)) this.inc({ queue }, value);
            },
          });
    registry.registerMetric(made);
    return description.name;
  });
  return () => {
    for (const name of registered.splice(0)) registry.removeSingleMetric(name);
  };
}
