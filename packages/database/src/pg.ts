/**
 * A class compatible with pg's `Pool`, with this package's pool inside: code written for `pg`, such as Kysely and
 * Drizzle, runs on it unchanged.
 */
import { callbackify } from 'node:util';
import { InvalidOptionError } from '@holdfast/foundation';
import { Pool as PgPool, type PoolConfig, escapeIdentifier, escapeLiteral } from 'pg';
import { createDatabase } from './create-database.ts';
import type { Database, Lease, QueryResult, Queryable, Statement } from './database.ts';
import { QueryFailedError } from './errors.ts';
import type { DatabaseOptions } from './options.ts';

const OWNER = 'Pool';

/**
 * As `pg.Pool`, with deadlines, recovery and a bounded wait queue. It differs in three ways: connections do not stream
 * (`pg-cursor`, `pg-query-stream`); a text with several statements gives the last one's result; and `error` is never
 * emitted, because a lost idle connection is no caller's error.
 */
export class Pool extends PgPool {
  /** The database inside, for everything that `pg` does not offer. */
  readonly holdfast: Database;

  /**
   * @param config as in pg.
   * @param more further options of `createDatabase`, such as `hosts` for a cluster.
   * @throws InvalidOptionError
   */
  constructor(config: PoolConfig = {}, more: Partial<DatabaseOptions> = {}) {
    super(config);
    const database = createDatabase({ hosts: urlOf(config), ...optionsOf(config), ...more });
    this.holdfast = database;
    const totals = (): PoolTotals => totalsOf(database);
    Object.defineProperties(this, {
      totalCount: { get: () => totals().total },
      idleCount: { get: () => totals().idle },
      waitingCount: { get: () => totals().waiting },
      query: { value: queryOn(database) },
      connect: { value: (done?: unknown) => connect(this, database, done) },
      end: { value: (done?: unknown) => end(this, database, done) },
    });
  }
}

interface PoolTotals {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

function totalsOf(database: Database): PoolTotals {
  const { hosts } = database.getStats();
  const sum = (read: (host: PoolTotals) => number): number =>
    hosts.reduce((total, host) => total + read(host), 0);
  return {
    total: sum(({ total }) => total),
    idle: sum(({ idle }) => idle),
    waiting: sum(({ waiting }) => waiting),
  };
}

/** In pg the parts of an address may be separate options, or environment variables. */
function urlOf(config: PoolConfig): string {
  if (config.connectionString !== undefined) return config.connectionString;
  const { env } = process;
  const url = new URL('postgres://localhost');
  const host = config.host ?? env['PGHOST'] ?? 'localhost';
  // The setter ignores an invalid value.
  url.hostname = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  if (url.hostname === '' || host.startsWith('/')) {
    throw new InvalidOptionError(
      OWNER,
      'host',
      host,
      'a name or an IP address; no socket of the file system',
    );
  }
  url.port = String(config.port ?? env['PGPORT'] ?? '');
  url.username = encodeURIComponent(config.user ?? env['PGUSER'] ?? env['USER'] ?? '');
  url.pathname = encodeURIComponent(config.database ?? env['PGDATABASE'] ?? '');
  return url.href;
}

/** In pg 0 and `false` mean "no limit"; this pool always has one, and uses its default then. */
function optionsOf(config: PoolConfig): Partial<DatabaseOptions> {
  const { max, password, ssl } = config;
  const acquireTimeoutMs = config.connectionTimeoutMillis;
  const idleTimeoutMs = config.idleTimeoutMillis;
  const queryTimeoutMs = config.query_timeout;
  const applicationName = config.application_name ?? config.fallback_application_name;
  return {
    ...(max === undefined ? {} : { max }),
    ...(password === undefined ? {} : { password }),
    ...(ssl === undefined ? {} : { ssl }),
    ...(applicationName === undefined ? {} : { applicationName }),
    ...(isBound(acquireTimeoutMs) ? { acquireTimeoutMs } : {}),
    ...(isBound(idleTimeoutMs) ? { idleTimeoutMs } : {}),
    ...(isBound(queryTimeoutMs) ? { queryTimeoutMs } : {}),
  };
}

function isBound(timeoutMs: unknown): timeoutMs is number {
  return typeof timeoutMs === 'number' && timeoutMs > 0;
}

type Done = (error: unknown, result?: unknown, release?: unknown) => void;

function isDone(value: unknown): value is Done {
  return typeof value === 'function';
}

/** pg's `query`: the callback is whichever argument is a function. */
function queryOn(target: Queryable): (...given: unknown[]) => Promise<QueryResult> | undefined {
  return (first, ...rest) => {
    const done = rest.find(isDone);
    const values = Array.isArray(rest[0]) ? rest[0] : undefined;
    const result = run(target, first, values);
    if (done === undefined) return result;
    callbackify(async () => result)(done);
    return undefined;
  };
}

async function run(
  target: Queryable,
  first: unknown,
  values: readonly unknown[] | undefined,
): Promise<QueryResult> {
  if (typeof first === 'object' && first !== null && 'submit' in first) {
    throw new InvalidOptionError(OWNER, 'query', first, 'SQL or a query object; cursors are not');
  }
  const [statement, bound] = pgStatement(first, values);
  try {
    return await target.query(statement, bound);
  } catch (error) {
    // Code written for pg expects the server's own error, with its SQLSTATE as the code.
    throw error instanceof QueryFailedError && error.cause !== undefined ? error.cause : error;
  }
}

/** pg treats an undefined value as NULL, and code written for it relies on that. */
function pgStatement(
  first: unknown,
  values: readonly unknown[] | undefined,
): [string | Statement, readonly unknown[] | undefined] {
  const withNulls = (list: readonly unknown[]): unknown[] => list.map((value) => value ?? null);
  if (typeof first === 'string') return [first, values && withNulls(values)];
  if (typeof first !== 'object' || first === null || !('text' in first)) {
    throw new InvalidOptionError(OWNER, 'query', first, 'SQL, or an object with text');
  }
  const { text } = first;
  if (typeof text !== 'string') throw new InvalidOptionError(OWNER, 'query.text', text, 'SQL');
  const own = 'values' in first && Array.isArray(first.values) ? first.values : undefined;
  const bound = values ?? own;
  return [{ ...first, text, values: undefined }, bound && withNulls(bound)];
}

/** A leased connection with pg's interface. */
function clientOn(pool: Pool, lease: Lease): object {
  return {
    processID: lease.backendPid,
    query: queryOn(lease),
    release(error?: unknown): void {
      lease.release(error !== undefined && error !== null && error !== false);
      pool.emit('release', error, this);
    },
    escapeIdentifier,
    escapeLiteral,
    // The pool handles the connection's events, so listeners are ignored.
    on: returnThis,
    once: returnThis,
    off: returnThis,
    removeListener: returnThis,
    removeAllListeners: returnThis,
  };
}

function returnThis(this: unknown): unknown {
  return this;
}

interface Acquired {
  readonly client: object;
  readonly release: (error?: unknown) => void;
}

async function acquire(pool: Pool, database: Database): Promise<Acquired> {
  const lease = await database.acquire();
  const client = clientOn(pool, lease);
  pool.emit('acquire', client);
  return { client, release: (error) => lease.release(Boolean(error)) };
}

function connect(pool: Pool, database: Database, done: unknown): Promise<object> | undefined {
  const acquired = acquire(pool, database);
  if (!isDone(done)) return acquired.then(({ client }) => client);
  callbackify(async () => acquired)((error, given?: Acquired) =>
    done(error ?? undefined, given?.client, given?.release ?? (() => undefined)),
  );
  return undefined;
}

function end(pool: Pool, database: Database, done: unknown): Promise<void> | undefined {
  Reflect.set(pool, 'ending', true);
  const ended = database.end().then(() => void Reflect.set(pool, 'ended', true));
  if (!isDone(done)) return ended;
  callbackify(async () => ended)((error) => done(error ?? undefined));
  return undefined;
}
