/**
 * pg's `Pool` by its own class and methods, with this package's pool inside: what is written for `pg`, such as
 * Kysely and Drizzle, runs on it unchanged.
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
 * As `pg.Pool`, with deadlines, recovery and a deadline to the line. It differs in this: connections are never streamed
 * from (`pg-cursor`, `pg-query-stream`), of several statements in one text the last one's result is given, and
 * `error` is never emitted, because a lost idle connection is nobody's error.
 */
export class Pool extends PgPool {
  /** The pool inside, for all that `pg` has no words for. */
  readonly holdfast: Database;

  /**
   * @param config as pg takes it.
   * @param more options of `createDatabase` beside it, such as `hosts` for a cluster.
   * @throws InvalidOptionError
   */
  constructor(config: PoolConfig = {}, more: Partial<DatabaseOptions> = {}) {
    super(config);
    const database = createDatabase({ hosts: urlOf(config), ...tuningOf(config), ...more });
    this.holdfast = database;
    const standing = (): Standing => standingOf(database);
    Object.defineProperties(this, {
      totalCount: { get: () => standing().total },
      idleCount: { get: () => standing().idle },
      waitingCount: { get: () => standing().waiting },
      query: { value: queryOn(database) },
      connect: { value: (done?: unknown) => connect(this, database, done) },
      end: { value: (done?: unknown) => end(this, database, done) },
    });
  }
}

interface Standing {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

function standingOf(database: Database): Standing {
  const { hosts } = database.getStats();
  const sum = (read: (host: Standing) => number): number =>
    hosts.reduce((total, host) => total + read(host), 0);
  return {
    total: sum(({ total }) => total),
    idle: sum(({ idle }) => idle),
    waiting: sum(({ waiting }) => waiting),
  };
}

/** In pg the pieces of an address may stand apart, or in the environment. */
function urlOf(config: PoolConfig): string {
  if (config.connectionString !== undefined) return config.connectionString;
  const { env } = process;
  const url = new URL('postgres://localhost');
  const host = config.host ?? env['PGHOST'] ?? 'localhost';
  // The setter leaves what it does not understand as it was.
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

/** pg has 0 and `false` for "none", where this pool always has a bound: its default stands then. */
function tuningOf(config: PoolConfig): Partial<DatabaseOptions> {
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
    const answer = run(target, first, values);
    if (done === undefined) return answer;
    callbackify(async () => answer)(done);
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
    // Who knows pg looks for the server's own error, with its SQLSTATE as the code.
    throw error instanceof QueryFailedError && error.cause !== undefined ? error.cause : error;
  }
}

/** pg takes an undefined value for NULL, and so does what is written for it. */
function pgStatement(
  first: unknown,
  values: readonly unknown[] | undefined,
): [string | Statement, readonly unknown[] | undefined] {
  const nulled = (list: readonly unknown[]): unknown[] => list.map((value) => value ?? null);
  if (typeof first === 'string') return [first, values && nulled(values)];
  if (typeof first !== 'object' || first === null || !('text' in first)) {
    throw new InvalidOptionError(OWNER, 'query', first, 'SQL, or an object with text');
  }
  const { text } = first;
  if (typeof text !== 'string') throw new InvalidOptionError(OWNER, 'query.text', text, 'SQL');
  const own = 'values' in first && Array.isArray(first.values) ? first.values : undefined;
  const bound = values ?? own;
  return [{ ...first, text, values: undefined }, bound && nulled(bound)];
}

/** A connection as pg lends it. */
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
    // A connection's own events stay inside: it is looked after whether or not somebody listens.
    on: thisOne,
    once: thisOne,
    off: thisOne,
    removeListener: thisOne,
    removeAllListeners: thisOne,
  };
}

function thisOne(this: unknown): unknown {
  return this;
}

interface Lent {
  readonly client: object;
  readonly release: (error?: unknown) => void;
}

async function lend(pool: Pool, database: Database): Promise<Lent> {
  const lease = await database.acquire();
  const client = clientOn(pool, lease);
  pool.emit('acquire', client);
  return { client, release: (error) => lease.release(Boolean(error)) };
}

function connect(pool: Pool, database: Database, done: unknown): Promise<object> | undefined {
  const leased = lend(pool, database);
  if (!isDone(done)) return leased.then(({ client }) => client);
  callbackify(async () => leased)((error, given?: Lent) =>
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
