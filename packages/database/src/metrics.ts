import type { Collector, Emit, Metric, MetricValue } from '@holdfast/foundation/metrics';
import type { Database, DatabaseStats, PoolStats } from './database.ts';

/** What metrics are read from. */
export type MeasuredDatabase = Pick<Database, 'getStats'>;

type Labeled = 'pool' | 'state';

/** One metric, and how its value is read. */
interface Row<Source> {
  readonly metric: Metric;
  readonly read: (source: Source) => MetricValue;
  readonly state?: string;
}

/** The semantic conventions' names of the labels. */
const attributes: Readonly<Record<Labeled, string>> = {
  pool: 'db.client.connection.pool.name',
  state: 'db.client.connection.state',
};

const suffixes: Readonly<Record<Metric['kind'], string>> = {
  counter: '_total',
  gauge: '',
  histogram: '_seconds',
};

/** @param name that of the semantic conventions, or in their manner; Prometheus writes it with underscores. */
function metric(
  kind: Metric['kind'],
  name: string,
  help: string,
  ...labelNames: readonly Labeled[]
): Metric {
  return {
    name: name.replaceAll('.', '_') + suffixes[kind],
    kind,
    help,
    labelNames,
    openTelemetry: { name, attributes },
  };
}

const count = metric(
  'gauge',
  'db.client.connection.count',
  'Connections to each host, idle and used',
  'pool',
  'state',
);

const hostRows: readonly Row<PoolStats>[] = [
  { metric: count, read: ({ idle }) => idle, state: 'idle' },
  { metric: count, read: ({ busy }) => busy, state: 'used' },
  {
    metric: metric('gauge', 'db.client.connection.max', 'Connections allowed to each host', 'pool'),
    read: ({ max }) => max,
  },
  {
    metric: metric(
      'gauge',
      'db.client.connection.cap',
      'Connections that the server lets in, as learned from its refusals',
      'pool',
    ),
    read: ({ cap }) => cap,
  },
  {
    metric: metric(
      'gauge',
      'db.client.connection.pending_requests',
      'Callers that wait for a connection',
      'pool',
    ),
    read: ({ waiting }) => waiting,
  },
  {
    metric: metric(
      'counter',
      'db.client.connection.timeouts',
      'Callers that got no connection in time',
      'pool',
    ),
    read: ({ acquireTimeouts }) => acquireTimeouts,
  },
  {
    metric: metric(
      'counter',
      'db.client.connection.refusals',
      'Callers refused because too many waited',
      'pool',
    ),
    read: ({ overloaded }) => overloaded,
  },
  {
    metric: metric('counter', 'db.client.connection.created', 'Connections made', 'pool'),
    read: ({ connects }) => connects,
  },
  {
    metric: metric(
      'counter',
      'db.client.connection.create_failures',
      'Attempts to make a connection that failed',
      'pool',
    ),
    read: ({ connectFailures }) => connectFailures,
  },
  {
    metric: metric('counter', 'db.client.connection.lost', 'Connections lost', 'pool'),
    read: ({ lost }) => lost,
  },
  {
    metric: metric(
      'counter',
      'db.client.connection.leaks',
      'Connections leased for too long',
      'pool',
    ),
    read: ({ leaks }) => leaks,
  },
  {
    metric: metric(
      'histogram',
      'db.client.connection.wait_time',
      'Time to acquire a connection',
      'pool',
    ),
    read: ({ waitMs }) => waitMs,
  },
  {
    metric: metric(
      'histogram',
      'db.client.connection.use_time',
      'Time between acquiring and releasing a connection',
      'pool',
    ),
    read: ({ useMs }) => useMs,
  },
  {
    metric: metric(
      'histogram',
      'db.client.connection.create_time',
      'Time to make a connection',
      'pool',
    ),
    read: ({ connectMs }) => connectMs,
  },
];

const databaseRows: readonly Row<DatabaseStats>[] = [
  {
    metric: metric('counter', 'db.client.query.count', 'Statements run outside of transactions'),
    read: ({ queries }) => queries,
  },
  {
    metric: metric('counter', 'db.client.query.timeouts', 'Statements canceled at their deadline'),
    read: ({ queryTimeouts }) => queryTimeouts,
  },
  {
    metric: metric(
      'counter',
      'db.client.query.replays',
      'Reads sent once more after a lost connection',
    ),
    read: ({ replays }) => replays,
  },
  {
    metric: metric('counter', 'db.client.transaction.count', 'Transactions begun'),
    read: ({ transactions }) => transactions,
  },
  {
    metric: metric('counter', 'db.client.transaction.retries', 'Further runs of transactions'),
    read: ({ transactionRetries }) => transactionRetries,
  },
  {
    metric: metric(
      'counter',
      'db.client.transaction.unknown',
      'Commits whose outcome stayed unknown',
    ),
    read: ({ commitsUnknown }) => commitsUnknown,
  },
];

/** How the numbers of this database and of its hosts are read. */
export function databaseCollectors(database: MeasuredDatabase): Collector[] {
  const metrics = [...hostRows, ...databaseRows].map((row) => row.metric);
  const collect = (emit: Emit): void => {
    const stats = database.getStats();
    for (const pool of stats.hosts) {
      for (const row of hostRows) {
        const labels = row.state === undefined ? {} : { state: row.state };
        emit(row.metric, { pool: pool.host, ...labels }, row.read(pool));
      }
    }
    for (const row of databaseRows) emit(row.metric, {}, row.read(stats));
  };
  return [{ metrics: [...new Set(metrics)], collect }];
}
