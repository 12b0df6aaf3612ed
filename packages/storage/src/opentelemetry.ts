/** Publishes the numbers of storages to a meter of OpenTelemetry, which reads them when it is read itself. */
import { parseOptions } from '@holdfast/foundation';
import { metricPrefix } from '@holdfast/foundation/metrics';
import { openTelemetryMeter, publishToOpenTelemetry } from '@holdfast/foundation/opentelemetry';
import type { Meter } from '@opentelemetry/api';
import { type MeasuredStorages, measuredStorages, storageCollectors } from './metrics.ts';

export { type MeasuredStorages } from './metrics.ts';

/** Options of `registerOpenTelemetryMetrics` for storages. */
export interface StorageOpenTelemetryOptions {
  /** The meter of OpenTelemetry on which the instruments are made. */
  meter: Meter;
  /** The storages that are measured, by the name that is their label. */
  storages: MeasuredStorages;
  /** What the metrics' names begin with. Default nothing. */
  prefix?: string;
}

const OWNER = 'registerStorageMetrics';
const schema = { meter: openTelemetryMeter, storages: measuredStorages, prefix: metricPrefix };

/**
 * Makes an instrument for each metric of the given storages, by the same names as for Prometheus; the
 * returned function stops their being read.
 * @throws InvalidOptionError, MetricsRegisteredError
 */
export function registerStorageMetrics(options: StorageOpenTelemetryOptions): () => void {
  const { meter, storages, prefix } = parseOptions(OWNER, schema, options);
  return publishToOpenTelemetry(OWNER, { meter, collectors: storageCollectors(storages), prefix });
}
