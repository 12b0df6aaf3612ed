import { InvalidOptionError } from '../errors/errors.ts';
import type { OptionRule } from '../options.ts';
import type { Collector, Emit, Labels, Metric, MetricKind, MetricValue } from './metric.ts';

/** One value of a source's stats, and the metric that it is a sample of. */
export interface Row<Stats> {
  readonly metric: Metric;
  /** Labels beside the source's name, where several values are samples of one metric. */
  readonly labels?: Labels;
  /** `undefined` where the value does not exist yet. */
  readonly read: (stats: Stats) => MetricValue | undefined;
}

/** A source of numbers under the name it is published by. */
export interface MeasuredSource<Stats> {
  readonly name: string;
  getStats(): Stats | undefined;
}

/** Makes the rows of one kind of source. */
export interface RowFactory<Stats> {
  readonly counter: MakeRow<Stats>;
  readonly gauge: MakeRow<Stats>;
  /** One counter whose samples are told apart by the label `result`. */
  readonly results: (
    name: string,
    help: string,
    reads: Readonly<Record<string, ReadNumber<Stats>>>,
  ) => Row<Stats>[];
}

type ReadNumber<Stats> = (stats: Stats) => number | undefined;
type MakeRow<Stats> = (name: string, help: string, read: ReadNumber<Stats>) => Row<Stats>;

/**
 * Makes the rows of a table of metrics, each read from stats when they are collected.
 * @param labelNames the labels that every metric carries, such as `name` or `queue`.
 */
export function rowsFor<Stats>(...labelNames: readonly string[]): RowFactory<Stats> {
  const row =
    (kind: MetricKind) =>
    (name: string, help: string, read: Row<Stats>['read']): Row<Stats> => ({
      metric: { name, kind, help, labelNames },
      read,
    });
  return {
    counter: row('counter'),
    gauge: row('gauge'),
    results(name, help, reads) {
      const metric: Metric = { name, kind: 'counter', help, labelNames: [...labelNames, 'result'] };
      return Object.entries(reads).map(([result, read]) => ({ metric, labels: { result }, read }));
    },
  };
}

/** Collects the rows of every source; nothing at all where there is no source. */
export function collectTable<Stats>(
  nameLabel: string,
  rows: readonly Row<Stats>[],
  sources: readonly MeasuredSource<Stats>[],
): Collector[] {
  if (sources.length === 0) return [];
  const labeled = sources.map((source) => ({
    source,
    labels: rows.map(({ labels }): Labels => ({ [nameLabel]: source.name, ...labels })),
  }));
  const collect = (emit: Emit): void => {
    for (const { source, labels } of labeled) {
      const stats = source.getStats();
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

const PREFIX = 'at most 64 letters, digits, "_" and ":", not beginning with a digit';

/** What every metric's name begins with: as Prometheus wants a name to begin, with room for what comes after it. */
export const metricPrefix: OptionRule<string> = {
  permitted: PREFIX,
  parse(value, field, owner) {
    if (typeof value === 'string' && /^(?:[a-zA-Z_:][\w:]{0,63})?$/.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, PREFIX);
  },
  defaultValue: () => '',
};

/** Sources by the name they are published under, each with the named methods. */
export function namedSources<T>(
  methods: readonly (keyof T & string)[],
): OptionRule<Readonly<Record<string, T>>> {
  const permitted = `an object of names, each of it an object with ${methods.join(', ')}`;
  return {
    permitted,
    parse(value, field, owner) {
      if (!isRecordOf(value, (item): item is T => hasAll(item, methods))) {
        throw new InvalidOptionError(owner, field, value, permitted);
      }
      return value;
    },
  };
}

function isRecordOf<T>(
  value: unknown,
  isMember: (item: unknown) => item is T,
): value is Readonly<Record<string, T>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every(isMember)
  );
}

function hasAll(value: unknown, methods: readonly string[]): boolean {
  return typeof value === 'object' && value !== null && methods.every((method) => method in value);
}
