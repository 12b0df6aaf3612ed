/** The metrics table: numbers that are read when somebody scrapes them, whoever publishes them. */
export { MetricsRegisteredError } from './metrics/errors.ts';
export type {
  Collector,
  DurationCounts,
  Emit,
  Labels,
  Metric,
  MetricKind,
  MetricSample,
  MetricValue,
} from './metrics/metric.ts';
export {
  type MeasuredSource,
  type Row,
  type RowFactory,
  collectTable,
  metricPrefix,
  namedSources,
  rowsFor,
} from './metrics/stats-table.ts';
