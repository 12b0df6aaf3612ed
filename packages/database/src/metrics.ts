import type { Database, DatabaseStats, Histogram, PoolStats } from './database.ts';

export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric by its OpenTelemetry name, and how it is read from a database's numbers. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  read(stats: DatabaseStats): readonly MetricSample[];
}

export interface DurationMetric {
  readonly name: string;
  readonly help: string;
  read(stats: DatabaseStats): readonly { readonly host: string; readonly histogram: Histogram }[];
}

/** The semantic conventions' name for what tells pools apart. */
export const POOL_LABEL = 'db.client.connection.pool.name';

const each =
  (read: (pool: PoolStats) => number, state?: string): Metric['read'] =>
  ({ hosts }) =>
    hosts.map((pool) => ({
      labels: {
        [POOL_LABEL]: pool.host,
        ...(state === undefined ? {} : { 'db.client.connection.state': state }),
      },
      value: read(pool),
    }));

const whole =
  (read: (stats: DatabaseStats) => number): Metric['read'] =>
  (stats) => [{ labels: {}, value: read(stats) }];

const idle = each((pool) => pool.idle, 'idle');
const used = each((pool) => pool.busy, 'used');

/** Names of the semantic conventions where they have one, and in their manner where not. */
export const metrics: readonly Metric[] = [
  {
    name: 'db.client.connection.count',
    help: 'Links to each host, idle and used',
    kind: 'gauge',
    read: (stats) => [...idle(stats), ...used(stats)],
  },
  {
    name: 'db.client.connection.max',
    help: 'Links allowed to each host',
    kind: 'gauge',
    read: each(({ max }) => max),
  },
  {
    name: 'db.client.connection.cap',
    help: 'Links that the server lets in, as learned from its refusals',
    kind: 'gauge',
    read: each(({ cap }) => cap),
  },
  {
    name: 'db.client.connection.pending_requests',
    help: 'Callers that wait for a link',
    kind: 'gauge',
    read: each(({ waiting }) => waiting),
  },
  {
    name: 'db.client.connection.timeouts',
    help: 'Callers that got no link in time',
    kind: 'counter',
    read: each(({ acquireTimeouts }) => acquireTimeouts),
  },
  {
    name: 'db.client.connection.refusals',
    help: 'Callers refused because too many waited',
    kind: 'counter',
    read: each(({ overloaded }) => overloaded),
  },
  {
    name: 'db.client.connection.created',
    help: 'Links made',
    kind: 'counter',
    read: each(({ connects }) => connects),
  },
  {
    name: 'db.client.connection.create_failures',
    help: 'Attempts to make a link that failed',
    kind: 'counter',
    read: each(({ connectFailures }) => connectFailures),
  },
  {
    name: 'db.client.connection.lost',
    help: 'Links lost',
    kind: 'counter',
    read: each(({ lost }) => lost),
  },
  {
    name: 'db.client.connection.leaks',
    help: 'Links on loan for too long',
    kind: 'counter',
    read: each(({ leaks }) => leaks),
  },
  {
    name: 'db.client.query.count',
    help: 'Statements run outside of transactions',
    kind: 'counter',
    read: whole(({ queries }) => queries),
  },
  {
    name: 'db.client.query.timeouts',
    help: 'Statements that were given up and cancelled',
    kind: 'counter',
    read: whole(({ queryTimeouts }) => queryTimeouts),
  },
  {
    name: 'db.client.query.replays',
    help: 'Reads sent once more after a lost link',
    kind: 'counter',
    read: whole(({ replays }) => replays),
  },
  {
    name: 'db.client.transaction.count',
    help: 'Transactions begun',
    kind: 'counter',
    read: whole(({ transactions }) => transactions),
  },
  {
    name: 'db.client.transaction.retries',
    help: 'Further runs of transactions',
    kind: 'counter',
    read: whole(({ transactionRetries }) => transactionRetries),
  },
  {
    name: 'db.client.transaction.unknown',
    help: 'Commits whose outcome stayed unknown',
    kind: 'counter',
    read: whole(({ commitsUnknown }) => commitsUnknown),
  },
];

const durations =
  (read: (pool: PoolStats) => Histogram): DurationMetric['read'] =>
  ({ hosts }) =>
    hosts.map((pool) => ({ host: pool.host, histogram: read(pool) }));

export const durationMetrics: readonly DurationMetric[] = [
  {
    name: 'db.client.connection.wait_time',
    help: 'Time to get a link from the pool',
    read: durations(({ waitMs }) => waitMs),
  },
  {
    name: 'db.client.connection.use_time',
    help: 'Time between getting a link and giving it back',
    read: durations(({ useMs }) => useMs),
  },
  {
    name: 'db.client.connection.create_time',
    help: 'Time to make a link',
    read: durations(({ connectMs }) => connectMs),
  },
];

/** What metrics are read from. */
export type MeasuredDatabase = Pick<Database, 'getStats'>;
