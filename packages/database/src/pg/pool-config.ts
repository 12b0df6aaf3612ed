import { InvalidOptionError } from '@holdfast/foundation';
import { Client as PgClient, type PoolConfig } from 'pg';
import { type Address, isAmbiguous } from '../address/address.ts';
import {
  type DatabaseOptions,
  MAX_TIMEOUT_MS,
  type ResolvedDatabaseOptions,
  parseDatabaseOptions,
} from '../options.ts';
import type { IdlePolicy } from '../pool/idle-sweeper.ts';

export const OWNER = 'Pool';

/** How long a caller waits for a server that is away, where pg would fail at once. */
const OUTAGE_TIMEOUT_MS = 5_000;
/** The limit of one attempt to connect, where pg has none. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** pg's options as this pool uses them. */
export interface PoolSettings {
  readonly database: ResolvedDatabaseOptions;
  readonly policy: IdlePolicy;
  /** The hosts have URLs of their own, instead of pg's options. */
  readonly isCluster: boolean;
  /** Replace pg's options of each client. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

/**
 * Translates pg's options. Where pg has no limit there is none, except for a server that is away.
 * @throws InvalidOptionError naming the field, without any secret.
 */
export function parsePoolConfig(config: PoolConfig, more: Partial<DatabaseOptions>): PoolSettings {
  checkFunctions(config);
  refuseShared(config);
  const overrides = overridesOf(config, more);
  const { password: _password, ssl: _ssl, applicationName: _name, ...others } = more;
  const given = Object.entries(others).filter(([, value]) => value !== undefined);
  const database = parseDatabaseOptions({
    // Replaced below: pg's own options, environment and URL say where the only host is.
    hosts: 'postgres://localhost',
    ...databaseOptions(config),
    ...Object.fromEntries(given),
  });
  const isCluster = more.hosts !== undefined;
  const allowExitOnIdle = Boolean(config.allowExitOnIdle);
  return {
    database: { ...database, hosts: isCluster ? database.hosts : [addressOf(config, overrides)] },
    isCluster,
    policy: {
      min: count(config, 'min', 0) ?? 0,
      holdsProcess: !allowExitOnIdle,
      outageTimeoutMs: OUTAGE_TIMEOUT_MS,
    },
    overrides,
  };
}

function databaseOptions(config: PoolConfig): Partial<DatabaseOptions> {
  const poolSize = count(config, 'poolSize', 0);
  const max = count(config, 'max', 0) || poolSize || 10;
  const connectionTimeoutMs = count(config, 'connectionTimeoutMillis', 0) || undefined;
  const idleTimeoutMs = count(config, 'idleTimeoutMillis', 0) ?? 10_000;
  const lifetimeMs = count(config, 'maxLifetimeSeconds', 0, 1_000) ?? 0;
  const queryTimeoutMs = count(config, 'query_timeout', 0) || undefined;
  count(config, 'maxUses', 1);
  return {
    max,
    acquireTimeoutMs: connectionTimeoutMs ?? MAX_TIMEOUT_MS,
    connectTimeoutMs: connectionTimeoutMs ?? CONNECT_TIMEOUT_MS,
    idleTimeoutMs: idleTimeoutMs || MAX_TIMEOUT_MS,
    maxLifetimeMs: lifetimeMs || MAX_TIMEOUT_MS,
    ...(queryTimeoutMs === undefined ? {} : { queryTimeoutMs }),
  };
}

/** A number, or text that is one, because pg compares options that were read from the environment as numbers. */
function count(config: object, field: string, min: number, unit = 1): number | undefined {
  const value: unknown = Reflect.get(config, field);
  if (value === undefined || value === null || value === false) return undefined;
  const isNumeral = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '');
  const number = isNumeral ? Number(value) : Number.NaN;
  if (number === Infinity && field === 'maxUses') return undefined;
  if (number >= min && number * unit <= MAX_TIMEOUT_MS) return Math.ceil(number * unit);
  const permitted = `a number from ${min} to ${MAX_TIMEOUT_MS / unit}`;
  throw new InvalidOptionError(OWNER, field, value, permitted);
}

function checkFunctions(config: object): void {
  for (const field of ['log', 'Promise', 'Client', 'onConnect', 'verify', 'stream']) {
    const value: unknown = Reflect.get(config, field);
    if (value === undefined || value === null || typeof value === 'function') continue;
    const permitted =
      field === 'stream' ? 'a function that makes one for each client' : 'a function';
    throw new InvalidOptionError(OWNER, field, typeof value, permitted);
  }
}

/** pg would give the same connection to every client of the pool. */
function refuseShared(config: object): void {
  if (!('connection' in config) || config.connection === undefined) return;
  throw new InvalidOptionError(
    OWNER,
    'connection',
    'an object',
    'left out: each client has its own',
  );
}

function overridesOf(
  config: PoolConfig,
  { password, ssl = config.ssl, applicationName }: Partial<DatabaseOptions>,
): Record<string, unknown> {
  const { connectionString } = config;
  return {
    // This pool times the attempt, so that its failure is not taken for a refusal.
    connectionTimeoutMillis: undefined,
    ...(password === undefined ? {} : { password }),
    ...(ssl === undefined ? {} : { ssl }),
    ...(applicationName === undefined ? {} : { application_name: applicationName }),
    ...(ssl === undefined || connectionString === undefined ? {} : withoutTls(connectionString)),
  };
}

const TLS_PARAMETERS = new Set(['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']);

/**
 * The URL without what it says of TLS: pg prefers a URL's parameters to the option, which may ask for more than they
 * do. It is not read as a `URL`, since pg takes more than that, such as a host that a parameter names.
 */
function withoutTls(url: string): Record<string, string | undefined> {
  const [before, ...after] = url.split('?');
  if (after.length === 0) return {};
  let negotiation: string | undefined;
  const kept = after
    .join('?')
    .split('&')
    .filter((text) => {
      const [[name = '', value] = []] = new URLSearchParams(text);
      // In the URL it would turn the option into `true`.
      if (name === 'sslnegotiation') negotiation = value;
      return name !== 'sslnegotiation' && !TLS_PARAMETERS.has(name);
    });
  const connectionString = kept.length === 0 ? before : `${before}?${kept.join('&')}`;
  return {
    connectionString,
    ...(negotiation === undefined ? {} : { sslnegotiation: negotiation }),
  };
}

/** The address that pg derives from options, URL and environment. */
function addressOf(config: PoolConfig, overrides: Readonly<Record<string, unknown>>): Address {
  // Only the numbers and names are wanted, not a socket.
  const { stream: _stream, ...parts } = config;
  const { host, port, ssl } = parsedByPg({ ...parts, ...overrides });
  if (typeof ssl === 'string') {
    const permitted = "true, false, 'no-verify' or TLS options";
    throw new InvalidOptionError(OWNER, 'ssl', ssl, permitted);
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidOptionError(OWNER, 'port', port, 'an integer from 1 to 65535');
  }
  const name = host.includes(':') && !host.startsWith('/') ? `[${host}]` : host;
  // The rest stays with pg's own options.
  const rest = { user: undefined, password: undefined, database: undefined, tls: undefined };
  return { name: `${name}:${port}`, host, port, ...rest, parameters: {} };
}

/** URLs of other systems: pg does not look at the scheme, and would speak to Postgres' port. */
const OTHER_SYSTEMS =
  /^(?:amqps?|file|https?|mariadb|mongodb(?:\+srv)?|mssql|mysqlx?|oracle|rediss?|sqlite|sqlserver|valkeys?):/i;

function parsedByPg(config: PoolConfig): { host: string; port: number; ssl: unknown } {
  const { connectionString } = config;
  if (connectionString === undefined) {
    checkNegotiation(config);
    return new PgClient(config);
  }
  if (OTHER_SYSTEMS.test(connectionString)) throw invalidUrl();
  const isUrl = /^\w+:\/\//.test(connectionString);
  if (isUrl && isAmbiguous(connectionString)) throw invalidUrl();
  try {
    return new PgClient(config);
  } catch {
    // pg's words may hold the URL, and with it the password.
    throw invalidUrl();
  }
}

function checkNegotiation({ sslnegotiation, ssl }: PoolConfig): void {
  const given: unknown = sslnegotiation;
  if (given === undefined || given === 'postgres' || (given === 'direct' && ssl)) return;
  const permitted = "'postgres', or with ssl 'direct'";
  throw new InvalidOptionError(OWNER, 'sslnegotiation', given, permitted);
}

function invalidUrl(): InvalidOptionError {
  const permitted =
    'a URL such as postgres://user:password@host:5432/name, with #, ?, / and @ of the password encoded';
  return new InvalidOptionError(OWNER, 'connectionString', '***', permitted);
}
