import {
  type Clock,
  InvalidOptionError,
  integer,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import { listOf } from '../options/collections.ts';
import type { FailoverMember, LeaseStore, ServiceDiscovery } from './failover.ts';

/** Options of `createFailoverManager`. All times in milliseconds. */
export interface FailoverOptions {
  /** The name of the service, of its lease and its route. */
  service: string;
  /** A name of this manager that no other has. */
  holder: string;
  /** The servers of the service, the primary among them. */
  members: readonly FailoverMember[];
  /** Where the managers agree on who leads. */
  lease: LeaseStore;
  /** Where writers ask for the route to the primary. */
  discovery: ServiceDiscovery;
  /** How often everybody is asked. Default 1 000. */
  intervalMs?: number;
  /** The deadline of one call. Default 2 000. */
  callTimeoutMs?: number;
  /** How many rounds in a row the primary must be away. Default 3. */
  rounds?: number;
  /** How long this manager leads without prolonging. Default 10 000. */
  leaseTtlMs?: number;
  /**
   * How long writers trust a route after they asked for it: at least `ttlMs` of `followRoute`. A primary that cannot
   * be fenced is replaced only so long after its route was closed. Default 10 000.
   */
  routeTtlMs?: number;
  /** How far behind the primary a candidate may be, in the unit of `position`. Default 0: nothing may be lost. */
  maxLag?: number;
  /**
   * How many replicas must answer before the furthest is chosen: all but those that every acknowledged write is known
   * to have reached. Default: all but the primary.
   */
  minReplicas?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const DAY_MS = 86_400_000;
const OWNER = 'createFailoverManager';
const ms = (fallback: number) => integer({ min: 10, max: DAY_MS, default: fallback });

const schema = {
  service: string({ maxLength: 200 }),
  holder: string({ maxLength: 200 }),
  members: listOf(objectWith<FailoverMember>(['status', 'fence', 'promote']), { min: 2, max: 100 }),
  lease: objectWith<LeaseStore>(['hold', 'nextEpoch', 'release']),
  discovery: objectWith<ServiceDiscovery>(['publish', 'read']),
  intervalMs: ms(1_000),
  callTimeoutMs: ms(2_000),
  rounds: integer({ min: 1, max: 1_000, default: 3 }),
  leaseTtlMs: ms(10_000),
  routeTtlMs: ms(10_000),
  maxLag: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 }),
  minReplicas: optional(integer({ min: 1, max: 100 })),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** The options with every default filled in. */
export type ResolvedFailoverOptions = Readonly<Required<FailoverOptions>>;

/** @throws InvalidOptionError, also for a lease that a round may outlast. */
export function parseFailoverOptions(given: FailoverOptions): ResolvedFailoverOptions {
  const parsed = parseOptions(OWNER, schema, given);
  const most = parsed.members.length - 1;
  const options = { ...parsed, minReplicas: parsed.minReplicas ?? most };
  if (options.minReplicas > most) {
    throw new InvalidOptionError(OWNER, 'minReplicas', options.minReplicas, `at most ${most}`);
  }
  const { intervalMs, callTimeoutMs, leaseTtlMs, members } = options;
  const roundMs = intervalMs + callTimeoutMs;
  const permitted = `more than intervalMs + callTimeoutMs (${roundMs})`;
  if (leaseTtlMs <= roundMs)
    throw new InvalidOptionError(OWNER, 'leaseTtlMs', leaseTtlMs, permitted);
  if (new Set(members.map(({ id }) => id)).size < members.length) {
    throw new InvalidOptionError(OWNER, 'members', members, 'members of different ids');
  }
  return options;
}
