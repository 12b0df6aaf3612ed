import {
  DeadlineQueue,
  type Emitter,
  InvalidOptionError,
  createEmitter,
} from '@holdfast/foundation';
import type { Address } from './address/address.ts';
import type { CallDeps } from './calls/call-deps.ts';
import { createCallCounts } from './calls/call-counts.ts';
import { CallGuard } from './calls/call-guard.ts';
import { StatementRunner } from './calls/queries.ts';
import type { Connect } from './connection/connection.ts';
import { type DatabaseEvents, databaseEventKinds } from './events.ts';
import { Cluster } from './hosts/cluster.ts';
import { HostProbe } from './hosts/host-probe.ts';
import { Host } from './hosts/host.ts';
import { ReplicaSelector } from './hosts/replica-selector.ts';
import { SingleHost } from './hosts/single-host.ts';
import { LeakDetector } from './pool/leak-detector.ts';
import type { ResolvedDatabaseOptions } from './options.ts';
import { HostPool } from './pool/host-pool.ts';
import type { IdlePolicy } from './pool/idle-sweeper.ts';
import { PooledDatabase } from './pooled-database.ts';

/** How connections to a host are opened: those of its pool, and that of its probe. */
type ConnectTo = (address: Address, use: 'pool' | 'probe') => Connect;

/** A database whose connections `connectTo` opens. */
export function assembleDatabase(
  options: ResolvedDatabaseOptions,
  connectTo: ConnectTo,
  policy?: IdlePolicy,
): { database: PooledDatabase; calls: CallDeps } {
  const { clock, queryTimeoutMs, leakReportMs } = options;
  const events = createEmitter<DatabaseEvents>('holdfast:database', databaseEventKinds);
  const hosts = options.hosts.map((address) => {
    const connect = connectTo(address, 'pool');
    const pool = new HostPool({ name: address.name, connect, options, policy, events });
    const probe = new HostProbe(connectTo(address, 'probe'), clock, options.probeTimeoutMs);
    return new Host(pool, probe);
  });
  const { router, readHosts } = createRouting(hosts, options, events);
  const counts = createCallCounts();
  const calls: CallDeps = {
    options,
    events,
    router,
    queries: new StatementRunner(router, counts, clock),
    counts,
    guard: new CallGuard(),
    leaks: new LeakDetector(clock, events, leakReportMs),
    deadlines: new DeadlineQueue(clock, queryTimeoutMs),
  };
  return { database: new PooledDatabase(calls, hosts, readHosts), calls };
}

function createRouting(
  hosts: readonly Host[],
  options: ResolvedDatabaseOptions,
  events: Emitter<DatabaseEvents>,
): { router: Cluster | SingleHost; readHosts: ReplicaSelector | SingleHost } {
  const [only] = hosts;
  if (only === undefined) throw new InvalidOptionError('createDatabase', 'hosts', [], 'not empty');
  if (hosts.length === 1) {
    const router = new SingleHost({ host: only, ...options });
    return { router, readHosts: router };
  }
  const { clock, replicaWaitMs, fence: fenceStore, probeTimeoutMs: fenceTimeoutMs } = options;
  const router = new Cluster({ ...options, hosts, events, fenceStore, fenceTimeoutMs });
  return { router, readHosts: new ReplicaSelector({ cluster: router, clock, replicaWaitMs }) };
}
