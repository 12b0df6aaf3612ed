import { HoldfastError } from '../errors/errors.ts';

/** A metric of that name is there already; nothing was registered. */
export class MetricsRegisteredError extends HoldfastError {
  readonly code = 'METRICS_REGISTERED';
  /** The first name that is taken. */
  readonly metric: string;

  /** @param owner the function that was called, such as `registerPrometheusMetrics`. */
  constructor(owner: string, metric: string) {
    super(
      `${owner}: there is a metric ${metric} already; name all in one registration, ` +
        'unregister the first before making a second, or give the second a prefix of its own',
      { outcome: 'not-applied' },
    );
    this.metric = metric;
  }
}
