import type { LookupFunction } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import {
  type Clock,
  InvalidOptionError,
  type Random,
  type OptionRule,
  boolean,
  callback,
  object,
  objectWith,
  integer,
  optional,
  parseOptions,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import type { TimelineFence } from './hosts/timeline-fence.ts';
import { type Address, parseAddress } from './address/address.ts';

/** Options of `createDatabase`. All times in milliseconds. */
export interface DatabaseOptions {
  /**
   * One URL, or one for each host of a cluster, such as `postgres://user:password@host:5432/name`. Of several
   * hosts the primary is detected.
   */
  hosts: string | readonly string[];
  /** Replaces the URLs' password; a function is called for each new connection, so a secret may rotate.
   * If it fails, calls that need a connection reject with CallbackFailedError. */
  password?: string | (() => string | Promise<string>);
  /** TLS, as in pg; replaces all that the URLs say of it. */
  ssl?: boolean | ConnectionOptions;
  /**
   * Finds the address of a host, for each new connection: that of `createResolver` of `@holdfast/network`, or another
   * function in the form of `dns.lookup`, which is the default. An error that `dns.lookup` has not is told as
   * CallbackFailedError.
   */
  lookup?: LookupFunction;
  /** The `application_name` of the connections. Default: that of the URL, else `holdfast`. */
  applicationName?: string;
  /** Connections to each host, from 1 to 10 000. Default 20. */
  max?: number;
  /** Callers that may wait for a connection to one host. Default 10 000. */
  maxWaiting?: number;
  /**
   * How long a call without a `timeoutMs` of its own waits for a connection; one with it may wait for as long as it has.
   * Default 5 000.
   */
  acquireTimeoutMs?: number;
  /** How long an attempt to connect may take, including authentication. Default: as the URL says, else 2 000. */
  connectTimeoutMs?: number;
  /** How long a whole call may take without its own `timeoutMs`. Default 5 000. */
  queryTimeoutMs?: number;
  /** How long a transaction may take, with all its runs, without its own `timeoutMs`. Default 30 000. */
  transactionTimeoutMs?: number;
  /** How long a cancelled query may take to end before its connection is closed. Default 500. */
  cancelGraceMs?: number;
  /** A connection that was idle for longer is pinged before it is leased. Default 1 000. */
  validateAfterIdleMs?: number;
  /** How long that ping, or the rollback of an open transaction, may take. Default 500. */
  validationTimeoutMs?: number;
  /** Connections idle for longer are closed. Default 60 000. */
  idleTimeoutMs?: number;
  /** The longest life of a connection, shortened at random by up to a tenth. Default 1 800 000. */
  maxLifetimeMs?: number;
  /**
   * Runs `DISCARD ALL` on a connection after each lease and transaction, and after other calls with a text that leaves
   * something, so that `SET`, temporary tables, advisory locks, `LISTEN`, cursors and prepared statements do not reach the
   * next caller. Of other calls what a function does in its body is not seen. Default false: they stay.
   */
  resetOnRelease?: boolean;
  /** A connection leased for longer is reported once as leaked. Default 60 000. */
  leakReportMs?: number;
  /** Silence after which TCP keepalive begins. Default 10 000. */
  keepAliveMs?: number;
  /** Delays between attempts to connect while a server is down. Defaults 20 and 200. */
  reconnect?: {
    /** The first delay, in milliseconds. Default 20. */
    initialDelayMs?: number;
    /** The longest, in milliseconds. Default 200. */
    maxDelayMs?: number;
  };
  /**
   * How often the hosts of a cluster are probed for role and position, and a single host whose `health` was asked
   * for. Default 1 000.
   */
  probeIntervalMs?: number;
  /** How long a probe may take. Default 1 000. */
  probeTimeoutMs?: number;
  /** How long a read waits for a replica to catch up before it goes to the primary. Default 50. */
  replicaWaitMs?: number;
  /**
   * Stores the latest timeline, so that after a restart a former primary that is up first gets no writes. It
   * is read before the first write, and a new primary gets writes once its timeline is stored: while either fails
   * writes reject with NoWritableHostError at their deadlines. Only with several hosts.
   */
  fence?: TimelineFence;
  /**
   * How many hosts of a cluster must respond before one of them gets writes, such as more than half: then a
   * former primary that is partitioned from the others together with this process gets none. Default 1.
   */
  minHostsSeen?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

const DAY_MS = 86_400_000;
export const OWNER = 'createDatabase';

/** The longest timeout of a call. */
export const MAX_TIMEOUT_MS: number = 365 * DAY_MS;

const milliseconds = (fallback: number, max = MAX_TIMEOUT_MS): OptionRule<number> =>
  integer({ min: 1, max, default: fallback });

const hosts: OptionRule<readonly Address[]> = {
  permitted: 'a postgres:// URL, or 1 to 64 of them',
  parse(value, field, owner) {
    if (typeof value === 'string') return [parseAddress(value, field, owner)];
    if (!Array.isArray(value) || value.length === 0 || value.length > 64) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const list: readonly unknown[] = value;
    const addresses = list.map((each, at) => parseAddress(each, `${field}[${at}]`, owner));
    const names = new Set<string>();
    for (const [at, { name }] of addresses.entries()) {
      if (names.has(name)) {
        throw new InvalidOptionError(owner, `${field}[${at}]`, name, 'a host named only once');
      }
      names.add(name);
    }
    return addresses;
  },
};

type Password = NonNullable<DatabaseOptions['password']>;

const password: OptionRule<Password | undefined> = {
  permitted: 'a string or a function',
  parse(value, field, owner) {
    if (typeof value === 'string') return value;
    // The value itself must not appear in the message.
    if (typeof value !== 'function') {
      throw new InvalidOptionError(owner, field, typeof value, this.permitted);
    }
    return callback<() => string | Promise<string>>().parse(value, field, owner);
  },
  defaultValue: () => undefined,
};

const ssl: OptionRule<boolean | ConnectionOptions | undefined> = {
  permitted: 'true, false or TLS options',
  parse(value, field, owner) {
    if (typeof value === 'boolean') return value;
    if (typeof value === 'object' && value !== null) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => undefined,
};

const reconnectShape = {
  initialDelayMs: integer({ min: 1, max: 60_000, default: 20 }),
  maxDelayMs: integer({ min: 1, max: 600_000, default: 200 }),
};

const reconnectObject = object(reconnectShape);

const reconnect: OptionRule<{ initialDelayMs: number; maxDelayMs: number }> = {
  ...reconnectObject,
  parse(value, field, owner) {
    const delays = reconnectObject.parse(value, field, owner);
    const { initialDelayMs, maxDelayMs } = delays;
    if (initialDelayMs <= maxDelayMs) return delays;
    const permitted = `at most maxDelayMs, ${maxDelayMs}`;
    throw new InvalidOptionError(owner, `${field}.initialDelayMs`, initialDelayMs, permitted);
  },
};

const shape = {
  hosts,
  password,
  ssl,
  lookup: optional(callback<LookupFunction>()),
  applicationName: optional(string({ maxLength: 63 })),
  max: integer({ min: 1, max: 10_000, default: 20 }),
  maxWaiting: integer({ min: 0, max: 10_000_000, default: 10_000 }),
  acquireTimeoutMs: milliseconds(5_000),
  connectTimeoutMs: optional(integer({ min: 1, max: DAY_MS })),
  queryTimeoutMs: milliseconds(5_000),
  transactionTimeoutMs: milliseconds(30_000),
  cancelGraceMs: milliseconds(500, DAY_MS),
  validateAfterIdleMs: integer({ min: 0, max: DAY_MS, default: 1_000 }),
  validationTimeoutMs: milliseconds(500, DAY_MS),
  idleTimeoutMs: milliseconds(60_000),
  maxLifetimeMs: milliseconds(1_800_000),
  resetOnRelease: boolean(false),
  leakReportMs: milliseconds(60_000),
  keepAliveMs: milliseconds(10_000, DAY_MS),
  reconnect,
  probeIntervalMs: milliseconds(1_000, DAY_MS),
  probeTimeoutMs: milliseconds(1_000, DAY_MS),
  replicaWaitMs: integer({ min: 0, max: DAY_MS, default: 50 }),
  fence: optional(objectWith<TimelineFence>(['load', 'store'])),
  minHostsSeen: integer({ min: 1, max: 64, default: 1 }),
  clock: objectWith<Clock>(['now', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** The options with every default filled in. */
export type ResolvedDatabaseOptions = Readonly<
  Required<
    Omit<
      DatabaseOptions,
      | 'hosts'
      | 'password'
      | 'ssl'
      | 'lookup'
      | 'reconnect'
      | 'fence'
      | 'applicationName'
      | 'connectTimeoutMs'
    >
  > & {
    applicationName: string | undefined;
    lookup: LookupFunction | undefined;
    connectTimeoutMs: number | undefined;
    hosts: readonly Address[];
    password: Password | undefined;
    ssl: boolean | ConnectionOptions | undefined;
    fence: TimelineFence | undefined;
    reconnect: Readonly<{ initialDelayMs: number; maxDelayMs: number }>;
  }
>;

/** @throws InvalidOptionError; no password appears in it. */
export function parseDatabaseOptions(options: DatabaseOptions): ResolvedDatabaseOptions {
  const resolved = parseOptions(OWNER, shape, options);
  const { hosts: given, fence, minHostsSeen } = resolved;
  if (minHostsSeen > given.length) {
    const permitted = `at most the number of hosts, ${given.length}`;
    throw new InvalidOptionError(OWNER, 'minHostsSeen', minHostsSeen, permitted);
  }
  if (fence !== undefined && given.length === 1) {
    // A single host is not probed for its role, and its name may move to another server.
    throw new InvalidOptionError(OWNER, 'fence', 'an object', 'left out with a single host');
  }
  return resolved;
}

const timeout = optional(integer({ min: 1, max: MAX_TIMEOUT_MS }));

/** A call's own timeout, if it has one. @throws InvalidOptionError */
export function timeoutOf(owner: string, timeoutMs: unknown): number | undefined {
  return timeoutMs === undefined ? undefined : timeout.parse(timeoutMs, 'timeoutMs', owner);
}
