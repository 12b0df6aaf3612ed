/** A `counter` only grows as long as its policy lives; a `gauge` goes up and down. */
export type MetricKind = 'counter' | 'gauge';

/** One metric, before anything is known of who publishes it. */
export interface Metric {
  /** Without the prefix. */
  readonly name: string;
  readonly kind: MetricKind;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** The same object at each reading of the same series, so that a publisher may keep what it makes of it. */
export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** Takes one number of one metric. */
export type Emit = (metric: Metric, labels: Labels, value: number) => void;

/** The metrics of one kind of policy, and how their numbers are read. */
export interface Collector {
  readonly metrics: readonly Metric[];
  /** Waits only where there is so much to read that others need their turn. */
  readonly collect: (emit: Emit) => void | Promise<void>;
}
