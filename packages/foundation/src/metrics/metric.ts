/** A `counter` only grows as long as its owner lives; a `gauge` goes up and down; a `histogram` counts durations. */
export type MetricKind = 'counter' | 'gauge' | 'histogram';

/** One metric, whoever publishes it. */
export interface Metric {
  /** Without the prefix, as Prometheus writes it. */
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Where OpenTelemetry has names of its own: that of the metric, and those of its labels. */
  readonly openTelemetry?: {
    readonly name: string;
    readonly attributes: Readonly<Record<string, string>>;
  };
}

/** The same object at each reading of the same series, so that a publisher may keep what it makes of it. */
export type Labels = Readonly<Record<string, string>>;

/** Durations counted by upper bounds. */
export interface DurationCounts {
  /** Upper bounds in milliseconds, ascending. */
  readonly boundsMs: readonly number[];
  /** One count for each bound, and a last one for what exceeds them all. */
  readonly counts: readonly number[];
  readonly sumMs: number;
  readonly count: number;
}

/** A number, or for a histogram its counts. */
export type MetricValue = number | DurationCounts;

/** One value of a metric, with its labels. */
export interface MetricSample {
  readonly labels: Labels;
  readonly value: MetricValue;
}

/** Takes one value of one metric. */
export type Emit = (metric: Metric, labels: Labels, value: MetricValue) => void;

/** The metrics of one kind of source, and how their values are read. */
export interface Collector {
  readonly metrics: readonly Metric[];
  /** Waits only where there is so much to read that others need their turn. */
  readonly collect: (emit: Emit) => void | Promise<void>;
}
