import type { Collector, Emit, Labels, Metric, MetricKind } from './metric.ts';

/** One number of a policy's stats, and the metric that it is a sample of. */
export interface Row<Stats> {
  readonly metric: Metric;
  /** Set where several numbers are the parts of one metric, told apart by the label `result`. */
  readonly result?: string;
  /** `undefined` where the number is not there yet. */
  readonly read: (stats: Stats) => number | undefined;
}

/** A policy under the name it is published by. */
export interface Measured<Stats> {
  readonly name: string;
  readonly getStats: () => Stats | undefined;
}

/** The label that says which policy it is. */
export type NameLabel = 'name' | 'operation';

/** Makes the rows of one kind of policy; their metrics carry `nameLabel`. */
export function rowsFor<Stats>(nameLabel: NameLabel): {
  counter(name: string, help: string, read: Row<Stats>['read']): Row<Stats>;
  gauge(name: string, help: string, read: Row<Stats>['read']): Row<Stats>;
  results(name: string, help: string, reads: Record<string, Row<Stats>['read']>): Row<Stats>[];
} {
  const row = (kind: MetricKind) => (name: string, help: string, read: Row<Stats>['read']) => ({
    metric: { name, kind, help, labelNames: [nameLabel] },
    read,
  });
  return {
    counter: row('counter'),
    gauge: row('gauge'),
    results(name, help, reads) {
      const metric: Metric = { name, kind: 'counter', help, labelNames: [nameLabel, 'result'] };
      return Object.entries(reads).map(([result, read]) => ({ metric, result, read }));
    },
  };
}

/** Collects the rows of every policy; nothing at all where there is no policy of the kind. */
export function collectTable<Stats>(
  nameLabel: NameLabel,
  rows: readonly Row<Stats>[],
  policies: readonly Measured<Stats>[],
): Collector[] {
  if (policies.length === 0) return [];
  const labelled = policies.map(({ name, getStats }) => {
    const named: Labels = { [nameLabel]: name };
    const labels = rows.map(({ result }) => (result === undefined ? named : { ...named, result }));
    return { getStats, labels };
  });
  const collect = (emit: Emit): void => {
    for (const { getStats, labels } of labelled) {
      const stats = getStats();
      if (stats === undefined) continue;
      for (const [index, { metric, read }] of rows.entries()) {
        const value = read(stats);
        const own = labels[index];
        if (value !== undefined && own !== undefined) emit(metric, own, value);
      }
    }
  };
  return [{ metrics: [...new Set(rows.map(({ metric }) => metric))], collect }];
}
