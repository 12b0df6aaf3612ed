import {
  frozenServer,
  halfOpenLink,
  idleLinkLost,
  killedServer,
  lentLinkLost,
} from './outage-probes.ts';
import {
  endWhileHeld,
  exhaustion,
  givenUpQuery,
  leakedLink,
  tooManyConnections,
} from './pool-probes.ts';
import type { Probe } from './probe.ts';
import {
  cutCommit,
  nestedAcquire,
  openTransactionReleased,
  swallowedError,
} from './transaction-probes.ts';

/** Every harm there is, in the order of a table. */
export const probes: readonly Probe[] = [
  killedServer,
  frozenServer,
  halfOpenLink,
  idleLinkLost,
  lentLinkLost,
  exhaustion,
  tooManyConnections,
  leakedLink,
  givenUpQuery,
  endWhileHeld,
  cutCommit,
  openTransactionReleased,
  swallowedError,
  nestedAcquire,
];
