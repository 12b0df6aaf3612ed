import type { Lease } from '@holdfast/database';
import {
  type Clock,
  type Timer,
  integer,
  objectWith,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import {
  type PostgresSource,
  databaseRule,
  openConnections,
  urlRule,
} from '../generations/postgres/connections.ts';
import { type TablesOptions, tablesSchema } from '../generations/tables.ts';
import {
  CatalogLockClosedError,
  CatalogLockLostError,
  CatalogLockUnavailableError,
  CatalogLockedError,
} from './errors.ts';
import type { LockOptions, SyncLease, SyncLock } from './sync-lock.ts';

/** Options of {@link createPostgresLock}. All times in milliseconds. */
export interface PostgresLockOptions extends PostgresSource, TablesOptions {
  /** The name in errors. Default `postgres`. */
  readonly name?: string;
  /**
   * How long a lease lasts without an answer of the server: the holder counts as lost then, and a server of Postgres 14 or
   * later ends its session. Default 10 000.
   */
  readonly leaseMs?: number;
  /** How long a call may take. Default 5 000. */
  readonly timeoutMs?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
}

const OWNER = 'createPostgresLock';
/** A lease is proven so often while it lasts. */
const PROOFS_PER_LEASE = 3;
/** One holds the lock, and one tells others that it is held. */
const OWN_CONNECTIONS = 2;

const schema = {
  ...tablesSchema,
  database: databaseRule,
  url: urlRule,
  name: string({ maxLength: 60, default: 'postgres' }),
  leaseMs: integer({ min: 100, max: 3_600_000, default: 10_000 }),
  timeoutMs: integer({ min: 1, max: 3_600_000, default: 5_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * A lock that one session of Postgres holds: an advisory lock, and a sequence that gives the tokens. It ends with its
 * session, so a pooler between must be in session mode. Of the connections of others it keeps one while it is held, which
 * a `Database` reports as leaked after its `leakReportMs`.
 * @throws InvalidOptionError
 */
export function createPostgresLock(options: PostgresLockOptions): SyncLock {
  const { database, url, ...settings } = parseOptions(OWNER, schema, options);
  const { name, clock, timeoutMs, leaseMs, prefix } = settings;
  const connections = openConnections(OWNER, { database, url }, OWN_CONNECTIONS);
  const sequence = `"${settings.schema}"."${prefix}_token"`;
  const key = `holdfast-catalog ${settings.schema}.${prefix}`;
  const held = new Set<HeldLease>();
  let isClosed = false;

  const take = async (session: Lease, { signal, above = 0 }: LockOptions): Promise<SyncLease> => {
    const call = { signal, timeoutMs };
    // A session whose client is gone or frozen is ended by the server: the lock does not wait for TCP to notice.
    await session.query(
      `select case when current_setting('server_version_num')::int >= 140000 ` +
        `then set_config('idle_session_timeout', $1, false) end`,
      [String(leaseMs)],
      call,
    );
    const provenAtMs = clock.now();
    const { rows } = await session.query<{ taken: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 0)) as taken',
      [key],
      call,
    );
    if (rows[0]?.taken !== true) throw new CatalogLockedError(name);
    await session.query(`create sequence if not exists ${sequence}`, [], call);
    const drawn = await session.query<{ token: string }>(
      `select setval($1::regclass, greatest(nextval($1::regclass), $2::bigint + 1)) as token`,
      [sequence, above],
      call,
    );
    const token = Number(drawn.rows[0]?.token);
    const onEnd = (): void => void held.delete(lease);
    const holding = { session, clock, leaseMs, timeoutMs, name, key, token, provenAtMs, onEnd };
    if (isClosed) throw new CatalogLockClosedError(name);
    const lease: HeldLease = new HeldLease(holding);
    held.add(lease);
    return lease;
  };

  return {
    name,
    async acquire(acquireOptions = {}) {
      const { signal, above } = acquireOptions;
      signal?.throwIfAborted();
      if (isClosed) throw new CatalogLockClosedError(name);
      integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 0 }).parse(
        above ?? 0,
        'above',
        'acquire',
      );
      let session: Lease | undefined;
      try {
        session = await connections.database.acquire({ signal, timeoutMs });
        return await take(session, acquireOptions);
      } catch (error) {
        session?.release(true);
        if (error instanceof CatalogLockedError) throw error;
        if (signal?.aborted === true && error === signal.reason) throw error;
        if (isClosed) throw new CatalogLockClosedError(name);
        throw new CatalogLockUnavailableError(name, error);
      }
    },
    async close() {
      isClosed = true;
      await Promise.all([...held].map((lease) => lease.end()));
      await connections.close();
    },
  };
}

interface Holding {
  readonly session: Lease;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly name: string;
  readonly key: string;
  readonly token: number;
  /** Before the call that took the lock. */
  readonly provenAtMs: number;
  readonly onEnd: () => void;
}

class HeldLease implements SyncLease {
  readonly token: number;
  readonly #holding: Holding;
  readonly #ending = new AbortController();
  #provenAtMs: number;
  #proof: Timer | undefined;
  #expiry: Timer | undefined;
  #isOver = false;

  constructor(holding: Holding) {
    this.token = holding.token;
    this.#holding = holding;
    this.#provenAtMs = holding.provenAtMs;
    this.#schedule();
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  async release(): Promise<void> {
    if (this.#isOver) return;
    this.#stop();
    const { session, timeoutMs } = this.#holding;
    // The end of its session frees the lock too, some time after this has resolved.
    await session
      .query('select pg_advisory_unlock_all()', [], { timeoutMs })
      .catch(() => undefined);
    session.release(true);
  }

  /** Gives the lock back although its holder works: another may have it at once. */
  async end(): Promise<void> {
    const released = this.release();
    this.#ending.abort(new CatalogLockLostError(this.#holding.name, this.token));
    await released;
  }

  #schedule(): void {
    const { clock, leaseMs } = this.#holding;
    const leftMs = this.#provenAtMs + leaseMs - clock.now();
    this.#expiry?.cancel();
    this.#expiry = clock.schedule(Math.max(0, leftMs), () => this.#lose());
    this.#proof = clock.schedule(Math.max(0, Math.min(leftMs, leaseMs / PROOFS_PER_LEASE)), () => {
      void this.#prove();
    });
  }

  /** Asks whether this session has the lock. */
  async #prove(): Promise<void> {
    const { session, clock, leaseMs, key } = this.#holding;
    const askedAtMs = clock.now();
    const leftMs = this.#provenAtMs + leaseMs - askedAtMs;
    if (this.#isOver) return;
    if (leftMs <= 0) {
      this.#lose();
      return;
    }
    try {
      const { rows } = await session.query<{ held: boolean }>(HELD, [key], {
        timeoutMs: Math.max(1, Math.ceil(leftMs)),
      });
      if (this.#isOver) return;
      const isLate = clock.now() >= this.#provenAtMs + leaseMs;
      if (isLate || rows[0]?.held !== true) {
        this.#lose();
        return;
      }
      this.#provenAtMs = askedAtMs;
      this.#schedule();
    } catch {
      this.#lose();
    }
  }

  #lose(): void {
    if (this.#isOver) return;
    this.#stop();
    this.#holding.session.release(true);
    this.#ending.abort(new CatalogLockLostError(this.#holding.name, this.token));
  }

  #stop(): void {
    this.#isOver = true;
    this.#proof?.cancel();
    this.#expiry?.cancel();
    this.#holding.onEnd();
  }
}

/** Through a pooler that lends sessions by the transaction the lock is in another session. */
const HELD =
  "select exists (select from pg_locks, hashtextextended($1, 0) as wanted where locktype = 'advisory' " +
  'and pid = pg_backend_pid() and granted and objsubid = 1 and ' +
  '(classid::bigint << 32 | objid::bigint) = wanted) as held';
