import {
  DeadlineQueue,
  type Emitter,
  InvalidOptionError,
  createEmitter,
} from '@holdfast/foundation';
import type { Address } from './address.ts';
import { createCallCounts } from './calls/call-counts.ts';
import { CallGuard } from './calls/call-guard.ts';
import { StatementRunner } from './calls/queries.ts';
import type { Connect } from './connection/connection.ts';
import { connectPg } from './connection/pg-connection.ts';
import type { Database } from './database.ts';
import type { DatabaseEvents } from './events.ts';
import { Cluster } from './hosts/cluster.ts';
import { HostProbe } from './hosts/host-probe.ts';
import { Host } from './hosts/host.ts';
import { ReplicaSelector } from './hosts/replica-selector.ts';
import { SingleHost } from './hosts/single-host.ts';
import { LeakDetector } from './pool/leak-detector.ts';
import {
  type DatabaseOptions,
  type ResolvedDatabaseOptions,
  parseDatabaseOptions,
} from './options.ts';
import { HostPool } from './pool/host-pool.ts';
import { PooledDatabase } from './pooled-database.ts';

/**
 * Creates a database. Connections are opened when calls need them.
 * @throws InvalidOptionError
 */
export function createDatabase(given: DatabaseOptions): Database {
  const options = parseDatabaseOptions(given);
  const { clock, queryTimeoutMs, leakReportMs } = options;
  const events = createEmitter<DatabaseEvents>('holdfast:database');
  const hosts = options.hosts.map((address) => createHost(address, options, events));
  const { router, readHosts } = createRouting(hosts, options, events);
  const counts = createCallCounts();
  const calls = {
    options,
    events,
    router,
    queries: new StatementRunner(router, counts),
    counts,
    guard: new CallGuard(),
    leaks: new LeakDetector(clock, events, leakReportMs),
    deadlines: new DeadlineQueue(clock, queryTimeoutMs),
  };
  return new PooledDatabase(calls, hosts, readHosts);
}

function createHost(
  address: Address,
  options: ResolvedDatabaseOptions,
  events: Emitter<DatabaseEvents>,
): Host {
  const { clock, probeTimeoutMs } = options;
  const connect: Connect = (call) => connectPg({ ...options, address }, call);
  const pool = new HostPool({ name: address.name, connect, options, events });
  return new Host(pool, new HostProbe(connect, clock, probeTimeoutMs));
}

function createRouting(
  hosts: readonly Host[],
  options: ResolvedDatabaseOptions,
  events: Emitter<DatabaseEvents>,
): { router: Cluster | SingleHost; readHosts: ReplicaSelector | SingleHost } {
  const [only] = hosts;
  if (only === undefined) throw new InvalidOptionError('createDatabase', 'hosts', [], 'not empty');
  if (hosts.length === 1) {
    const router = new SingleHost(only);
    return { router, readHosts: router };
  }
  const { clock, replicaWaitMs, fence: fenceStore, probeTimeoutMs: fenceTimeoutMs } = options;
  const router = new Cluster({ ...options, hosts, events, fenceStore, fenceTimeoutMs });
  return { router, readHosts: new ReplicaSelector({ cluster: router, clock, replicaWaitMs }) };
}
