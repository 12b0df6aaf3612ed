import { CallDeadline, type Clock, DeadlineQueue, settlesWithin } from '@holdfast/foundation';
import { type Client, type PoolClient, Query } from 'pg';
import type { CallDeps } from '../calls/call-deps.ts';
import { PgConnection } from '../connection/pg-connection.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import { drained, isBusy, isSpent, queryTimeoutMs } from './client-state.ts';
import { PoolMisuseError, toPgError } from './errors.ts';

/** A client that one caller has until it is released. */
export interface Checkout {
  readonly client: PoolClient;
  readonly pooled: PooledConnection;
  /**
   * Returns the client, once its queries have ended; with a reason it is closed instead.
   * @throws PoolMisuseError when called again.
   */
  readonly release: (reason?: unknown) => void;
  /** As `release`, for a query that nobody else has: it may take as long as it likes. */
  readonly releaseWhenDone: () => void;
}

interface CheckoutsDeps {
  readonly calls: CallDeps;
  readonly maxUses: () => number;
  readonly onAcquire: (client: PoolClient) => void;
  readonly onRelease: (reason: unknown, client: PoolClient) => void;
  readonly onExpended: () => void;
}

/** Lends the clients of the pool's connections. */
export class Checkouts {
  readonly #deps: CheckoutsDeps;
  readonly #clock: Clock;
  readonly #deadlines: DeadlineQueue;
  readonly #out = new Map<Client, PooledConnection>();
  readonly #uses = new WeakMap<Client, number>();

  constructor(deps: CheckoutsDeps) {
    this.#deps = deps;
    const { clock, acquireTimeoutMs } = deps.calls.options;
    this.#clock = clock;
    this.#deadlines = new DeadlineQueue(clock, acquireTimeoutMs);
  }

  /** Clients whose connection is lost, but whose caller still has them. */
  get lostCount(): number {
    return this.#countOf(({ connection }) => !connection.alive);
  }

  /** Clients past their lifetime, which are closed as soon as they are released. */
  get expiredCount(): number {
    const nowMs = this.#clock.now();
    return this.#countOf(({ expiresAtMs }) => nowMs >= expiresAtMs);
  }

  has(client: Client): boolean {
    return this.#out.has(client);
  }

  pooledOf(client: Client): PooledConnection | undefined {
    return this.#out.get(client);
  }

  /**
   * @param isLeased to code of the pool's user, who may forget to release it.
   * @throws as pg: the error of the server or the socket, or that of a timeout.
   */
  async acquire(isLeased: boolean): Promise<Checkout> {
    for (;;) {
      const pooled = await this.#take();
      const { connection } = pooled;
      if (!(connection instanceof PgConnection)) throw new TypeError('not a connection of pg');
      // Seen before the event of its loss: nothing was sent, so another one does as well.
      if (connection.client.connection.stream.writable) {
        return this.#checkOut(pooled, connection, isLeased);
      }
      pooled.release(true);
    }
  }

  async #take(): Promise<PooledConnection> {
    const { guard, router, options } = this.#deps.calls;
    const { acquireTimeoutMs } = options;
    guard.assertOpen('connect');
    const deadline = new CallDeadline(this.#clock, acquireTimeoutMs, undefined, this.#deadlines);
    try {
      return await router.acquirePrimary(deadline, acquireTimeoutMs);
    } catch (error) {
      throw toPgError(error);
    } finally {
      deadline.release();
    }
  }

  #checkOut(pooled: PooledConnection, connection: PgConnection, isLeased: boolean): Checkout {
    const stopWatching = isLeased ? this.#deps.calls.leaks.watch(pooled) : undefined;
    let isReleased = false;
    const releaseWith = (reason: unknown, isPatient: boolean): void => {
      if (isReleased) {
        throw new PoolMisuseError(
          'Release called on client which has already been released to the pool.',
        );
      }
      isReleased = true;
      connection.listen();
      stopWatching?.();
      this.#deps.onRelease(reason, client);
      this.#giveBack(pooled, connection, Boolean(reason), isPatient);
    };
    const release = (reason?: unknown): void => releaseWith(reason, false);
    const releaseWhenDone = (): void => releaseWith(undefined, true);
    const client: PoolClient = Object.assign(connection.client, { release });
    // What the client's own queries leave on the session is not known here.
    pooled.holdsState = true;
    this.#out.set(client, pooled);
    try {
      this.#deps.onAcquire(client);
    } catch (error) {
      release(error);
      throw error;
    }
    return { client, pooled, release, releaseWhenDone };
  }

  #giveBack(
    pooled: PooledConnection,
    connection: PgConnection,
    isBroken: boolean,
    isPatient: boolean,
  ): void {
    const { client } = connection;
    const uses = (this.#uses.get(client) ?? 0) + 1;
    this.#uses.set(client, uses);
    const isExpended = uses >= this.#deps.maxUses();
    if (isExpended) this.#deps.onExpended();
    if (isBroken || isExpended || isSpent(client)) this.#close(pooled, connection);
    else if (isBusy(client)) void this.#settle(pooled, connection, isPatient);
    else this.#return(pooled, connection);
  }

  /** Queries that their caller did not wait for still run; an open cursor may never end. */
  async #settle(
    pooled: PooledConnection,
    connection: PgConnection,
    isPatient: boolean,
  ): Promise<void> {
    const { client } = connection;
    const { cancelGraceMs } = this.#deps.calls.options;
    const ended = drained(client);
    const isAwaited = isPatient || isPlainQuery(client);
    const timeoutMs = queryTimeoutMs(client);
    // When their time is over too, nobody waits for them any more, and the server may never answer.
    const limitMs = isAwaited ? timeoutMs && timeoutMs + cancelGraceMs : cancelGraceMs;
    if (limitMs === undefined) await ended;
    else if (!(await settlesWithin(this.#clock, limitMs, ended))) {
      this.#close(pooled, connection);
      return;
    }
    this.#return(pooled, connection);
  }

  #return(pooled: PooledConnection, { client, alive }: PgConnection): void {
    this.#out.delete(client);
    pooled.release(!alive);
  }

  #close(pooled: PooledConnection, connection: PgConnection): void {
    const { client } = connection;
    this.#out.delete(client);
    // What still runs is of no use to anyone.
    if (connection.alive && isBusy(client))
      void connection.cancel(this.#deps.calls.options.cancelGraceMs);
    void client.end();
    pooled.release(true);
  }

  #countOf(isCounted: (pooled: PooledConnection) => boolean): number {
    let found = 0;
    for (const pooled of this.#out.values()) if (isCounted(pooled)) found += 1;
    return found;
  }
}

function isPlainQuery(client: Client): boolean {
  const active: unknown = Reflect.get(client, '_activeQuery');
  return active === undefined || active === null || active instanceof Query;
}
