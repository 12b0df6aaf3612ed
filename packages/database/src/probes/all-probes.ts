import {
  frozenServer,
  halfOpenConnection,
  idleConnectionLost,
  killedServer,
  leasedConnectionLost,
} from './outage-probes.ts';
import {
  endWhileHeld,
  exhaustion,
  timedOutQuery,
  leakedConnection,
  tooManyConnections,
} from './pool-probes.ts';
import type { Probe } from './probe.ts';
import {
  cutCommit,
  nestedAcquire,
  openTransactionReleased,
  swallowedError,
} from './transaction-probes.ts';

/** All probes, in the order of the table. */
export const probes: readonly Probe[] = [
  killedServer,
  frozenServer,
  halfOpenConnection,
  idleConnectionLost,
  leasedConnectionLost,
  exhaustion,
  tooManyConnections,
  leakedConnection,
  timedOutQuery,
  endWhileHeld,
  cutCommit,
  openTransactionReleased,
  swallowedError,
  nestedAcquire,
];
