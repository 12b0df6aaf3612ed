import {
  type Clock,
  type Random,
  type Timer,
  exponentialBackoff,
  sleep,
} from '@holdfast/foundation';
import type { Redis } from 'ioredis';
import type { ConnectionListener } from '../../backend.ts';
import { BackendError } from '../../errors.ts';
import { Connection } from './connection.ts';
import { requiredOptions } from './connector.ts';
import { classifyRedisError } from '../errors.ts';
import type { ServerResolver } from '../resolver/server-resolver.ts';
import { describeServer, oldestServer, refuseOldServer } from './server-version.ts';
import { type ClientId, killPreviousClient, clientIdOf } from './client-id.ts';

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  /** Whether Redis has to be able to say what is on its disk. */
  readonly onDisk: boolean;
  readonly reconnect: { readonly initialDelayMs: number; readonly maxDelayMs: number };
}

/**
 * Keeps one connection to Redis standing: the server looked up anew and a fresh client per attempt, a
 * deadline on the handshake and on every call, a PING when idle, and a capped exponential backoff between
 * attempts.
 *
 *     connecting ── PING answered ──▶ up ── closed, deadline passed, given up ──▶ connecting ...
 */
export class ManagedConnection {
  readonly #route: ServerResolver;
  readonly #tuning: ConnectionOptions;
  readonly #closing = new AbortController();
  /** Resolves when the first attempt has ended, either way. */
  readonly #tried: Promise<void>;
  #tellTried!: () => void;
  #connection: Connection | undefined;
  /** The connection that was used last. */
  #session: ClientId | undefined;
  #isUp = false;
  #supervision: Promise<void> = Promise.resolve();
  #lastUseMs = 0;
  readonly #waiting = new Set<() => void>();

  constructor(route: ServerResolver, tuning: ConnectionOptions) {
    this.#route = route;
    this.#tuning = tuning;
    this.#tried = new Promise((resolve) => {
      this.#tellTried = resolve;
    });
  }

  get isConnected(): boolean {
    return this.#isUp;
  }

  /** Starts reaching for the server, for as long as the link is not closed. */
  open(listener: ConnectionListener = silent): void {
    this.#supervision = this.#supervise(listener);
  }

  /** Resolves once the link is up; rejects with the signal's own reason, or when the link is closed. */
  whenConnected(signal: AbortSignal): Promise<void> {
    if (this.#isUp) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const either = AbortSignal.any([signal, this.#closing.signal]);
      const onAbort = (): void => {
        this.#waiting.delete(proceed);
        reject(either.reason);
      };
      const proceed = (): void => {
        either.removeEventListener('abort', onAbort);
        resolve();
      };
      if (either.aborted) return onAbort();
      either.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(proceed);
    });
  }

  /** Gives the present connection up, so that a new one is made. */
  disconnect(error: BackendError): void {
    this.#connection?.disconnect(error);
  }

  /**
   * Runs one exchange with the server, which may take `waitMs` longer than the deadline because it was
   * asked to. Rejects with a BackendError; at once when the link is down, but for the first attempt to
   * bring it up, which is waited for.
   */
  async call<T>(exchange: (client: Redis) => Promise<T>, waitMs = 0): Promise<T> {
    if (!this.#isUp) await this.#tried;
    if (!this.#isUp || this.#connection === undefined) {
      throw new BackendError('unreachable', 'Redis: the link is down');
    }
    this.#lastUseMs = this.#tuning.clock.now();
    return this.#connection.call(this.#tuning.commandTimeoutMs + waitMs, exchange);
  }

  async close(): Promise<void> {
    const closed = new BackendError('unreachable', 'Redis: the link is closed');
    this.#closing.abort(closed);
    this.#tellTried();
    this.disconnect(closed);
    await this.#supervision;
  }

  async #supervise(listener: ConnectionListener): Promise<void> {
    const { clock, random, reconnect } = this.#tuning;
    const { signal } = this.#closing;
    const backoff = exponentialBackoff({ ...reconnect, jitterFactor: 0.25 });
    let delays = backoff.delays(random);
    let attempt = 0;
    while (!signal.aborted) {
      attempt += 1;
      const failure = await this.#connect();
      if (failure === undefined) {
        delays = backoff.delays(random);
        const error = await this.#useUntilLost(() => listener.connected({ attempt }));
        attempt = 0;
        if (!signal.aborted) listener.disconnected({ error });
      } else if (!signal.aborted) {
        const delayMs = delays.next().value;
        listener.attemptFailed({ attempt, delayMs, error: failure });
        this.#tellTried();
        await sleep(clock, delayMs, signal).catch(() => undefined);
      }
    }
  }

  /** Makes a connection that has answered a PING, or says why there is none. */
  async #connect(): Promise<BackendError | undefined> {
    const { connectTimeoutMs, clock } = this.#tuning;
    try {
      const client = await this.#route.client(requiredOptions(connectTimeoutMs));
      this.#connection = new Connection(client, clock);
      this.#closing.signal.throwIfAborted();
      await this.#connection.call(connectTimeoutMs, async () => {
        await client.connect();
        await client.ping();
        const printed = await describeServer(client);
        refuseOldServer(printed, oldestServer(this.#tuning));
        await this.#route.verify(client);
        await this.#succeed(client, printed);
      });
      return undefined;
    } catch (error) {
      const failure = error instanceof BackendError ? error : classifyRedisError(error);
      this.disconnect(failure);
      return failure;
    }
  }

  /** From here on the last connection that was used has no effect any more. */
  async #succeed(client: Redis, printed: string): Promise<void> {
    const session = await clientIdOf(client, printed);
    if (session !== undefined && this.#session !== undefined) {
      await killPreviousClient(client, this.#session, session);
    }
    this.#session = session;
  }

  async #useUntilLost(onUp: () => void): Promise<BackendError> {
    const { clock, pingIntervalMs } = this.#tuning;
    let watching: Timer;
    const watch = (): void => {
      void this.#probe();
      watching = clock.schedule(pingIntervalMs, watch, { holdsProcess: false });
    };
    this.#lastUseMs = clock.now();
    watching = clock.schedule(pingIntervalMs, watch, { holdsProcess: false });
    this.#isUp = true;
    for (const proceed of this.#waiting) proceed();
    this.#waiting.clear();
    onUp();
    this.#tellTried();
    try {
      return (
        (await this.#connection?.lost) ?? new BackendError('unreachable', 'Redis: no connection')
      );
    } finally {
      this.#isUp = false;
      watching.cancel();
    }
  }

  /** Whether the server still answers, where nothing else has asked it lately, and is still the right one. */
  async #probe(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { clock, pingIntervalMs } = this.#tuning;
    const isIdle = this.#lastUseMs + pingIntervalMs <= clock.now();
    if (isIdle) void this.call(async (client) => client.ping()).catch(() => undefined);
    if (await this.#route.isCurrent(connection.client)) return;
    connection.disconnect(
      new BackendError('unreachable', 'Redis: another server is the primary now'),
    );
  }
}

/** For a link whose fate another link tells. */
const silent: ConnectionListener = {
  connected: () => undefined,
  attemptFailed: () => undefined,
  disconnected: () => undefined,
};
