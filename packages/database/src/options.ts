import type { ConnectionOptions } from 'node:tls';
import {
  type Clock,
  InvalidOptionError,
  type Random,
  type OptionRule,
  callback,
  objectWith,
  integer,
  optional,
  parseOptions,
  systemClock,
  systemRandom,
  string,
} from '@holdfast/foundation';
import type { TimelineFence } from './hosts/timeline-fence.ts';
import { type Address, parseAddress } from './address.ts';

/** Options of `createDatabase`. All times in milliseconds. */
export interface DatabaseOptions {
  /**
   * Where the database stands: one URL, or one for each host of a cluster, such as
   * `postgres://user:password@host:5432/name`. With several, which of them takes writes is found out.
   */
  hosts: string | readonly string[];
  /** In place of the URLs' own; a function is asked for each new link, so that a secret may rotate. */
  password?: string | (() => string | Promise<string>);
  /** TLS, as pg takes it; in place of the URLs' `sslmode`. */
  ssl?: boolean | ConnectionOptions;
  /** What the server's views show these links as. Default `holdfast`. */
  applicationName?: string;
  /** Links to each host, from 1 to 10 000. Default 20. */
  max?: number;
  /** Callers that may wait for a link to one host. Default 10 000. */
  maxWaiting?: number;
  /** How long a caller waits for a link. Default 5 000. */
  acquireTimeoutMs?: number;
  /** How long an attempt to connect may take, up to the server's readiness. Default 2 000. */
  connectTimeoutMs?: number;
  /** How long a whole call may take unless it says otherwise. Default 5 000. */
  queryTimeoutMs?: number;
  /** How long a transaction may take, with all its runs, unless it says otherwise. Default 30 000. */
  transactionTimeoutMs?: number;
  /** How long a cancelled query may take to end before its link is cut. Default 500. */
  cancelGraceMs?: number;
  /** A link that was idle for longer is asked for a sign of life before it is lent. Default 1 000. */
  validateAfterIdleMs?: number;
  /** How long that sign, or the rollback of what a caller left open, may take. Default 500. */
  validationTimeoutMs?: number;
  /** Links idle for longer are closed. Default 60 000. */
  idleTimeoutMs?: number;
  /** No link grows older, less up to a tenth by chance. Default 1 800 000. */
  maxLifetimeMs?: number;
  /** A link on loan for longer is reported once as leaked. Default 60 000. */
  leakReportMs?: number;
  /** TCP keepalive begins after so much silence. Default 10 000. */
  keepAliveMs?: number;
  /** Delays between attempts to connect while a server is away. Defaults 20 and 200. */
  reconnect?: { initialDelayMs?: number; maxDelayMs?: number };
  /** How often the hosts of a cluster are asked for role and progress. Default 1 000. */
  probeIntervalMs?: number;
  /** How long such an answer may take. Default 1 000. */
  probeTimeoutMs?: number;
  /** How long a read waits for a replica to catch up before it goes to the primary. Default 50. */
  replicaWaitMs?: number;
  /**
   * Where the latest timeline is kept, so that after a restart a former primary that came back first takes no
   * write. It is read before the first write, and a new primary is written to once its timeline is stored.
   * With several hosts.
   */
  fence?: TimelineFence;
  /**
   * Hosts of a cluster that must answer before any of them is written to, such as more than half of them: a
   * former primary that is cut off from the others with this process takes no write then. Default 1.
   */
  minHostsSeen?: number;
  clock?: Clock;
  random?: Random;
}

const DAY_MS = 86_400_000;
export const OWNER = 'createDatabase';

/** The longest a call may be told to take. */
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
    return objectWith<ConnectionOptions>([]).parse(value, field, owner);
  },
  defaultValue: () => undefined,
};

const reconnectShape = {
  initialDelayMs: integer({ min: 1, max: 60_000, default: 20 }),
  maxDelayMs: integer({ min: 1, max: 600_000, default: 200 }),
};

const reconnect: OptionRule<{ initialDelayMs: number; maxDelayMs: number }> = {
  permitted: 'an object',
  parse(value, field, owner) {
    const settled = parseOptions(owner, reconnectShape, value, field);
    if (settled.initialDelayMs > settled.maxDelayMs) {
      const permitted = `at most maxDelayMs, ${settled.maxDelayMs}`;
      throw new InvalidOptionError(
        owner,
        `${field}.initialDelayMs`,
        settled.initialDelayMs,
        permitted,
      );
    }
    return settled;
  },
  defaultValue: (field, owner) => parseOptions(owner, reconnectShape, {}, field),
};

const shape = {
  hosts,
  password,
  ssl,
  applicationName: string({ maxLength: 63, default: 'holdfast' }),
  max: integer({ min: 1, max: 10_000, default: 20 }),
  maxWaiting: integer({ min: 0, max: 10_000_000, default: 10_000 }),
  acquireTimeoutMs: milliseconds(5_000),
  connectTimeoutMs: milliseconds(2_000, DAY_MS),
  queryTimeoutMs: milliseconds(5_000),
  transactionTimeoutMs: milliseconds(30_000),
  cancelGraceMs: milliseconds(500, DAY_MS),
  validateAfterIdleMs: integer({ min: 0, max: DAY_MS, default: 1_000 }),
  validationTimeoutMs: milliseconds(500, DAY_MS),
  idleTimeoutMs: milliseconds(60_000),
  maxLifetimeMs: milliseconds(1_800_000),
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
export type Settings = Readonly<
  Required<Omit<DatabaseOptions, 'hosts' | 'password' | 'ssl' | 'reconnect' | 'fence'>> & {
    hosts: readonly Address[];
    password: Password | undefined;
    ssl: boolean | ConnectionOptions | undefined;
    fence: TimelineFence | undefined;
    reconnect: Readonly<{ initialDelayMs: number; maxDelayMs: number }>;
  }
>;

/** @throws InvalidOptionError; no password appears in it. */
export function readDatabaseOptions(options: DatabaseOptions): Settings {
  const settings = parseOptions(OWNER, shape, options);
  const { hosts: given, fence, minHostsSeen } = settings;
  if (minHostsSeen > given.length) {
    const permitted = `at most the number of hosts, ${given.length}`;
    throw new InvalidOptionError(OWNER, 'minHostsSeen', minHostsSeen, permitted);
  }
  if (fence !== undefined && given.length === 1) {
    // One host is not asked what it is: behind its name another may stand.
    throw new InvalidOptionError(OWNER, 'fence', 'an object', 'left out with a single host');
  }
  return settings;
}

const timeout = optional(integer({ min: 1, max: MAX_TIMEOUT_MS }));

/**
 * A call's own limit, else `fallback`.
 * @throws InvalidOptionError
 */
export function timeoutOf(owner: string, timeoutMs: unknown, fallback: number): number {
  return timeoutMs === undefined
    ? fallback
    : (timeout.parse(timeoutMs, 'timeoutMs', owner) ?? fallback);
}
