import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Emitter,
  DeadlineQueue,
  InvalidOptionError,
  createEmitter,
} from '@holdfast/foundation';
import type { Address } from './address.ts';
import { noCalls } from './calls/call-counts.ts';
import { LeakWatch } from './leases/leak-detector.ts';
import { Queries } from './calls/queries.ts';
import { type ReadHost, Reads } from './reads/reads.ts';
import type { Route } from './hosts/host-router.ts';
import { Transactions } from './transactions/transactions.ts';
import type { Database } from './database.ts';
import type { DatabaseEvents } from './events.ts';
import { Cluster } from './hosts/cluster.ts';
import { Host } from './hosts/host.ts';
import { HostProbe } from './hosts/host-probe.ts';
import { ReplicaChoice } from './hosts/replica-selector.ts';
import type { Connect } from './connection/connection.ts';
import { connectPg } from './connection/pg-connection.ts';
import { type DatabaseOptions, type Settings, readDatabaseOptions } from './options.ts';
import { PooledDatabase } from './pooled-database.ts';
import { HostPool } from './pool/host-pool.ts';

/**
 * Opens nothing yet: links are made when they are wanted.
 * @throws InvalidOptionError
 */
export function createDatabase(options: DatabaseOptions): Database {
  const settings = readDatabaseOptions(options);
  const events = createEmitter<DatabaseEvents>('holdfast:database');
  const hosts = settings.hosts.map((address) => hostAt(address, settings, events));
  const [only] = hosts;
  if (only === undefined) throw new InvalidOptionError('createDatabase', 'hosts', [], 'not empty');
  const cluster = hosts.length === 1 ? undefined : clusterOf(hosts, settings, events);
  const route = cluster ?? loneRoute(only);
  const { clock, random, queryTimeoutMs, transactionTimeoutMs } = settings;
  const deadlines = new DeadlineQueue(clock, queryTimeoutMs);
  const counts = noCalls();
  const queries = new Queries(route, counts);
  const leaks = new LeakWatch(clock, events, settings.leakReportMs);
  const current = new AsyncLocalStorage<{ open: boolean }>();
  return new PooledDatabase({
    settings,
    events,
    hosts,
    cluster,
    route,
    counts,
    queries,
    leaks,
    current,
    deadlines,
    reads: new Reads({
      queries,
      counts,
      clock,
      queryTimeoutMs,
      deadlines,
      choose: cluster === undefined ? async () => loneReadHost(only) : chooserIn(cluster, settings),
    }),
    transactions: new Transactions({
      route,
      queries,
      leaks,
      counts,
      events,
      clock,
      random,
      queryTimeoutMs,
      transactionTimeoutMs,
      current,
    }),
  });
}

function hostAt(address: Address, settings: Settings, events: Emitter<DatabaseEvents>): Host {
  const { clock, random, probeTimeoutMs } = settings;
  const connect: Connect = (call) => connectPg({ ...settings, address }, call);
  const pool = new HostPool({ name: address.name, connect, settings, events, clock, random });
  return new Host(pool, new HostProbe(connect, clock, probeTimeoutMs));
}

function clusterOf(
  hosts: readonly Host[],
  settings: Settings,
  events: Emitter<DatabaseEvents>,
): Cluster {
  const { fence: keeper, probeTimeoutMs: fenceTimeoutMs } = settings;
  return new Cluster({ ...settings, hosts, events, keeper, fenceTimeoutMs });
}

/** One host takes everything, and is not asked what it is. */
function loneRoute({ pool }: Host): Route {
  return {
    writable: (limit, timeoutMs) => pool.acquire(limit, timeoutMs),
    notWritable: () => false,
  };
}

function loneReadHost({ pool }: Host): ReadHost {
  return {
    name: pool.name,
    key: pool.name,
    role: 'primary',
    take: (limit) => pool.acquire(limit),
    served: () => undefined,
    failed: () => undefined,
  };
}

function chooserIn(
  cluster: Cluster,
  { clock, replicaWaitMs }: Settings,
): ConstructorParameters<typeof Reads>[0]['choose'] {
  const choice = new ReplicaChoice({ cluster, clock, replicaWaitMs });
  return async (freshness, limit, pinned) => {
    const host = await choice.choose(freshness, limit, pinned);
    const isPrimary = host === cluster.primary;
    return {
      name: host.name,
      key: host.key,
      role: isPrimary ? 'primary' : 'standby',
      take: isPrimary ? (call) => cluster.writable(call) : (call) => host.readable(call),
      served: () => host.nearness.served(),
      failed: () => host.nearness.failed(clock.now()),
    };
  };
}
