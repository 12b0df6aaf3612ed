import { InvalidOptionError } from '@holdfast/foundation';
import { type Client, Pool as PgPool, type PoolClient, type PoolConfig } from 'pg';
import { assembleDatabase } from '../assemble-database.ts';
import { clientConfig } from '../connection/connect-pg.ts';
import type { PgConnection } from '../connection/pg-connection.ts';
import { READ_ONLY, sqlStateOf } from '../connection/sql-state.ts';
import type { Database } from '../database.ts';
import type { HostRouter } from '../hosts/host-router.ts';
import { type DatabaseOptions, MAX_TIMEOUT_MS } from '../options.ts';
import { type Checkout, Checkouts } from './checkouts.ts';
import { connectClients } from './client-source.ts';
import { PoolMisuseError } from './errors.ts';
import { CONNECT_TIMEOUT_MS, OWNER, type PoolSettings, parsePoolConfig } from './pool-config.ts';
import { isStreaming, runQuery, runStreaming } from './pool-query.ts';

/** What pg's options and those of the database say comes after the URL of one of several hosts. */
const NO_OPTIONS = { ssl: undefined, applicationName: undefined };

type Callback = (...given: unknown[]) => void;

/**
 * As `pg.Pool`, and its clients are pg's own; what is inside survives the loss of the server. It differs in the
 * ways that docs/database/pg.md lists.
 */
export class Pool extends PgPool {
  /** The database inside, for everything that `pg` does not offer. */
  readonly holdfast: Database;
  declare readonly log: Callback;
  declare readonly Client: typeof Client;
  declare readonly Promise: PromiseConstructor;
  readonly #checkouts: Checkouts;
  readonly #router: HostRouter;
  readonly #listed = new Set<PoolClient>();
  readonly #listeners = new WeakMap<PoolClient, (error: Error) => void>();

  /**
   * @param config as in pg.
   * @param more further options of `createDatabase`, such as `hosts` for a cluster; or, as in pg-pool, the
   *   class of the clients.
   * @throws InvalidOptionError
   */
  constructor(config: PoolConfig = {}, more: Partial<DatabaseOptions> | typeof Client = {}) {
    const given: unknown = config ?? {};
    if (typeof given !== 'object' || given === null) {
      throw new InvalidOptionError(OWNER, 'options', typeof given, 'an object');
    }
    const isClass = typeof more === 'function';
    super(isClass ? { ...given, Client: Reflect.get(given, 'Client') ?? more } : given);
    const settings = parsePoolConfig(given, isClass ? {} : more);
    const { database, calls } = this.#assemble(settings);
    this.holdfast = database;
    this.#router = calls.router;
    // A private field of pg's pool, which monitors read.
    Object.defineProperty(this, '_clients', { get: () => [...this.#listed] });
    this.#checkouts = new Checkouts({
      calls,
      maxUses: () => this.options.maxUses,
      onAcquire: (client) => this.emit('acquire', client),
      onRelease: (reason, client) => {
        // Its user may have removed all listeners.
        this.#listenTo(client);
        this.emit('release', reason, client);
      },
      onExpended: () => this.log('remove expended client'),
    });
  }

  static {
    // Overloads of pg's own types, which a class body would have to repeat.
    const call = (name: string, value: (this: Pool, ...given: unknown[]) => unknown): void => {
      Object.defineProperty(this.prototype, name, { value, writable: true, configurable: true });
    };
    call('query', function query(...given) {
      return this.#query(given);
    });
    call('connect', function connect(done) {
      return this.#connect(done);
    });
    call('end', function end(done) {
      return this.#end(done);
    });
    const count = (name: string, get: (this: Pool) => number): void => {
      Object.defineProperty(this.prototype, name, { get, configurable: true });
    };
    count('totalCount', function totalCount() {
      return this.#sum(({ total }) => total) + this.#checkouts.lostCount;
    });
    count('idleCount', function idleCount() {
      return this.#sum(({ idle }) => idle);
    });
    // A caller for whom a connection is being opened does not wait for one of another caller.
    count('waitingCount', function waitingCount() {
      return this.#sum(({ waiting, connecting }) => Math.max(0, waiting - connecting));
    });
    count('expiredCount', function expiredCount() {
      return this.#checkouts.expiredCount;
    });
  }

  #assemble({
    database,
    policy,
    overrides,
    isCluster,
  }: PoolSettings): ReturnType<typeof assembleDatabase> {
    const { clock, connectTimeoutMs, keepAliveMs } = database;
    return assembleDatabase(
      database,
      (address, use) =>
        connectClients({
          address,
          clock,
          timeoutMs: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
          keepAliveMs,
          options: () => ({
            ...this.options,
            // pg hides it from enumeration.
            password: this.options.password,
            ...(isCluster ? clientConfig({ address, ...NO_OPTIONS }, undefined) : {}),
            ...overrides,
            ...(isCluster ? { connectionString: undefined } : {}),
          }),
          createClient: (options) => new this.Client(options),
          prepare: async (connection) => {
            if (use === 'pool') await this.#prepare(connection);
          },
        }),
      policy,
    );
  }

  /** Before its first use a client has been announced, and accepted by the hooks of pg. */
  async #prepare(connection: PgConnection): Promise<void> {
    const client: PoolClient = Object.assign(connection.client, { release: () => undefined });
    this.#listenTo(client);
    client.connection.on('errorMessage', (error: unknown) => this.#refused(error, client));
    this.#listed.add(client);
    client.connection.once('end', () => this.#listed.delete(client));
    const { onConnect, verify } = this.options;
    // pg awaits it, although its types do not say so.
    const prepared: unknown = onConnect?.(client);
    await prepared;
    this.log('new client connected');
    client.connection.once('end', () => process.nextTick(() => this.emit('remove', client)));
    this.emit('connect', client);
    if (typeof verify !== 'function') return;
    await new Promise<void>((resolve, reject) => {
      verify(client, (error?: Error) => (error ? reject(error) : resolve()));
    });
  }

  /** Hears of the first error of a client, which is its last. */
  #listenTo(client: PoolClient): void {
    let hasFailed = false;
    const listener =
      this.#listeners.get(client) ??
      ((error: Error): void => {
        if (!hasFailed) this.#clientFailed(error, client);
        hasFailed = true;
      });
    this.#listeners.set(client, listener);
    if (!client.listeners('error').includes(listener)) client.on('error', listener);
  }

  /** A server that was the primary when its name was resolved may be a standby by now. */
  #refused(error: unknown, client: PoolClient): void {
    const pooled = this.#checkouts.pooledOf(client);
    if (sqlStateOf(error) !== READ_ONLY || pooled === undefined) return;
    this.#router.reportReadOnly(pooled, 'write');
  }

  /** The caller of a client hears of its errors; those of an idle one are the pool's, if anyone listens. */
  #clientFailed(error: Error, client: PoolClient): void {
    if (this.#checkouts.has(client)) return;
    this.log('an idle client failed', error);
    if (this.listenerCount('error') > 0)
      this.emit('error', Object.assign(error, { client }), client);
  }

  #query([first, second, third]: readonly unknown[]): unknown {
    const isSecondDone = isCallback(second);
    const done = isSecondDone ? second : isCallback(third) ? third : undefined;
    if (isCallback(first)) {
      const message = 'Passing a function as the first parameter to pool.query is not supported';
      return this.#settle(Promise.reject(new PoolMisuseError(message)), first);
    }
    if (isStreaming(first) && !this.ending) {
      void runStreaming(this.#checkouts, first);
      return first;
    }
    const values = isSecondDone ? undefined : second;
    return this.#settle(this.#run(first, values), done);
  }

  async #run(query: unknown, values: unknown): Promise<unknown> {
    this.#assertOpen();
    this.log('dispatching query');
    return runQuery(() => this.#acquireForQuery(), this.#router, query, values);
  }

  /** As in pg, a `connect` that a derived class or an instrumentation overrides serves queries too. */
  async #acquireForQuery(): Promise<Pick<Checkout, 'client' | 'release'>> {
    if (this.connect === ownConnect) return this.#checkouts.acquire(false);
    return new Promise((resolve, reject) => {
      this.connect((error, client, release) => {
        if (client === undefined) reject(error);
        else resolve({ client, release });
      });
    });
  }

  #connect(done: unknown): unknown {
    const acquired = this.#acquire();
    if (!isCallback(done)) {
      return this.#settle(
        acquired.then(({ client }) => client),
        undefined,
      );
    }
    acquired.then(
      ({ client, release }) => process.nextTick(done, undefined, client, release),
      (error: unknown) => process.nextTick(done, error, undefined, () => undefined),
    );
    return undefined;
  }

  async #acquire(): ReturnType<Checkouts['acquire']> {
    this.#assertOpen();
    return this.#checkouts.acquire(true);
  }

  #end(done: unknown): unknown {
    this.log('ending');
    return this.#settle(this.#close(), isCallback(done) ? done : undefined);
  }

  async #close(): Promise<void> {
    if (this.ending) throw new PoolMisuseError('Called end on pool more than once');
    Reflect.set(this, 'ending', true);
    // As in pg, until the last client is released; `holdfast.close` has a deadline.
    await this.holdfast.close({ deadlineMs: MAX_TIMEOUT_MS });
    Reflect.set(this, 'ended', true);
  }

  #assertOpen(): void {
    if (this.ending) throw new PoolMisuseError('Cannot use a pool after calling end on the pool');
  }

  /** Calls back outside of the promise, so that what the callback throws is not lost in it. */
  #settle(outcome: Promise<unknown>, done: Callback | undefined): unknown {
    if (done !== undefined) {
      outcome.then(
        (value) => process.nextTick(done, undefined, value),
        (error: unknown) => process.nextTick(done, error),
      );
      return undefined;
    }
    const { Promise: OwnPromise } = this;
    if (OwnPromise === Promise) return outcome;
    return new OwnPromise((resolve, reject) => void outcome.then(resolve, reject));
  }

  #sum(
    read: (host: { total: number; idle: number; waiting: number; connecting: number }) => number,
  ): number {
    return this.holdfast.getStats().hosts.reduce((sum, host) => sum + read(host), 0);
  }
}

const ownConnect: unknown = Reflect.get(Pool.prototype, 'connect');

function isCallback(value: unknown): value is Callback {
  return typeof value === 'function';
}
