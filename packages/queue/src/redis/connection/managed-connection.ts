import {
  type Clock,
  type Random,
  type Timer,
  exponentialBackoff,
  sleep,
} from '@holdfast/foundation';
import type { ConnectionListener } from '../../backend.ts';
import { BackendError } from '../../errors.ts';
import { Notifier } from '../../notifier.ts';
import { ClientConnection } from '../client-connection.ts';
import { type IoredisClient, requiredOptions } from '../connector.ts';
import { classifyRedisError } from '../errors.ts';
import type { ServerResolver } from '../resolver/server-resolver.ts';
import { type ClientId, clientIdOf, killPreviousClient } from './client-id.ts';
import { selectDatabase } from './database.ts';
import { UploadPace } from './upload-pace.ts';
import { assertServerVersion, describeServer, oldestServer } from './server-version.ts';

/** A connection whose last call will be repeated anyway is probed only after this many intervals. */
const ROUTINE_FACTOR = 8;

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  /** Whether the server has to support WAITAOF. */
  readonly onDisk: boolean;
  readonly reconnect: { readonly initialDelayMs: number; readonly maxDelayMs: number };
}

/**
 * Keeps one connection to Redis up. Each attempt resolves the server anew and uses a new client. The handshake and
 * every call have a deadline, an idle connection is probed with PING, and a capped exponential backoff separates the
 * attempts.
 *
 *     connecting ── PING answered ──▶ connected ── closed, deadline passed, given up ──▶ connecting ...
 */
export class ManagedConnection {
  readonly #resolver: ServerResolver;
  readonly #options: ConnectionOptions;
  readonly #closing = new AbortController();
  /** Resolves when the first attempt has succeeded or failed. */
  readonly #firstAttempt: Promise<void>;
  #endFirstAttempt!: () => void;
  #client: ClientConnection | undefined;
  /** The id of the client that was connected last. */
  #clientId: ClientId | undefined;
  #isConnected = false;
  #supervision: Promise<void> = Promise.resolve();
  #lastUseMs = 0;
  #wasRoutine = false;
  readonly #followers = new Map<object, (error: BackendError) => void>();
  readonly #connects = new Notifier();
  readonly #pace = new UploadPace();

  constructor(resolver: ServerResolver, options: ConnectionOptions) {
    this.#resolver = resolver;
    this.#options = options;
    this.#firstAttempt = new Promise((resolve) => {
      this.#endFirstAttempt = resolve;
    });
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Starts connecting, and reconnects until the connection is closed. */
  open(listener: ConnectionListener = noListener): void {
    this.#supervision = this.#supervise(listener);
  }

  /** Resolves once connected; rejects with the signal's own reason, or when the connection is closed. */
  whenConnected(signal: AbortSignal): Promise<void> {
    if (this.#isConnected) return Promise.resolve();
    return this.#connects.wait(AbortSignal.any([signal, this.#closing.signal]));
  }

  /** Ends the current client; a new one is connected. */
  disconnect(error: BackendError): void {
    this.#client?.disconnect(error);
  }

  /**
   * Runs one exchange with the server, which may take `waitMs` longer than the deadline because its command blocks.
   * Rejects with a BackendError; without waiting while disconnected, except for the first attempt to connect.
   * @param isRoutine the caller repeats it, so that it probes the connection as a PING does.
   */
  async call<T>(
    exchange: (client: IoredisClient) => Promise<T>,
    waitMs = 0,
    isRoutine = false,
  ): Promise<T> {
    if (!this.#isConnected) await this.#firstAttempt;
    if (!this.#isConnected || this.#client === undefined) {
      throw new BackendError('unreachable', 'Redis: not connected', undefined, 'not-applied');
    }
    this.#lastUseMs = this.#options.clock.now();
    this.#wasRoutine = isRoutine;
    return this.#client.call(this.#options.commandTimeoutMs, exchange, waitMs);
  }

  /**
   * Ends the blocking command of this connection.
   * @param via a connection to the same server.
   * @returns false when it is not blocked, `undefined` when the server does not let this user end it.
   */
  async unblock(via: ManagedConnection): Promise<boolean | undefined> {
    const id = this.#clientId?.connection;
    if (id === undefined) return undefined;
    const reply = await via
      .call((client) => client.call('CLIENT', 'UNBLOCK', id))
      .catch(() => undefined);
    return typeof reply === 'number' ? reply === 1 : undefined;
  }

  /** Sets, or removes, what `owner` does whenever the connection is lost. */
  onDisconnected(owner: object, listener: ((error: BackendError) => void) | undefined): void {
    if (listener === undefined) this.#followers.delete(owner);
    else this.#followers.set(owner, listener);
  }

  async close(): Promise<void> {
    const closed = new BackendError('unreachable', 'Redis: the connection is closed');
    this.#closing.abort(closed);
    this.#endFirstAttempt();
    this.disconnect(closed);
    await this.#supervision;
  }

  async #supervise(listener: ConnectionListener): Promise<void> {
    const { clock, random, reconnect } = this.#options;
    const { signal } = this.#closing;
    const backoff = exponentialBackoff({ ...reconnect, jitterFactor: 0.25 });
    let delays = backoff.delays(random);
    let attempt = 0;
    while (!signal.aborted) {
      attempt += 1;
      const failure = await this.#connect();
      if (failure === undefined) {
        delays = backoff.delays(random);
        const error = await this.#useUntilDisconnected(() => listener.connected({ attempt }));
        attempt = 0;
        for (const follow of this.#followers.values()) follow(error);
        if (!signal.aborted) listener.disconnected({ error });
      } else if (!signal.aborted) {
        const delayMs = delays.next().value;
        listener.attemptFailed({ attempt, delayMs, error: failure });
        this.#endFirstAttempt();
        await sleep(clock, delayMs, signal).catch(() => undefined);
      }
    }
  }

  /** Connects a client that has answered a PING; returns the failure otherwise. */
  async #connect(): Promise<BackendError | undefined> {
    const { connectTimeoutMs, clock } = this.#options;
    try {
      const client = await this.#resolver.createClient(requiredOptions(connectTimeoutMs));
      this.#client = new ClientConnection(client, clock, this.#pace);
      this.#closing.signal.throwIfAborted();
      await this.#client.call(connectTimeoutMs, async () => {
        await client.connect();
        await client.call('PING');
        const info = await describeServer(client);
        assertServerVersion(info, oldestServer(this.#options));
        await selectDatabase(client);
        await this.#resolver.verify(client);
        await this.#replacePrevious(client, info);
      });
      return undefined;
    } catch (error) {
      const failure = error instanceof BackendError ? error : classifyRedisError(error);
      this.disconnect(failure);
      return failure;
    }
  }

  /** From then on, commands in transit on the previous connection have no effect. */
  async #replacePrevious(client: IoredisClient, info: string): Promise<void> {
    const present = await clientIdOf(client, info);
    if (present !== undefined && this.#clientId !== undefined) {
      await killPreviousClient(client, this.#clientId, present);
    }
    this.#clientId = present;
  }

  async #useUntilDisconnected(onConnected: () => void): Promise<BackendError> {
    const { clock, pingIntervalMs } = this.#options;
    let probing: Timer;
    const probe = (): void => {
      void this.#probe();
      probing = clock.schedule(pingIntervalMs, probe, { holdsProcess: false });
    };
    this.#lastUseMs = clock.now();
    probing = clock.schedule(pingIntervalMs, probe, { holdsProcess: false });
    this.#isConnected = true;
    this.#connects.notifyAll();
    onConnected();
    this.#endFirstAttempt();
    try {
      const error = await this.#client?.disconnected;
      return error ?? new BackendError('unreachable', 'Redis: no connection');
    } finally {
      this.#isConnected = false;
      probing.cancel();
    }
  }

  /** Checks that an idle server still answers, and that it is still the right one. */
  async #probe(): Promise<void> {
    const connection = this.#client;
    if (connection === undefined) return;
    const { clock, pingIntervalMs } = this.#options;
    const quietMs = pingIntervalMs * (this.#wasRoutine ? ROUTINE_FACTOR : 1);
    const isIdle = this.#lastUseMs + quietMs <= clock.now();
    // Behind a blocking command, a PING has no answer.
    if (isIdle && !connection.isAwaitingReply)
      void this.call(async (client) => client.call('PING')).catch(() => undefined);
    if (await this.#resolver.isCurrent(connection.client)) return;
    connection.disconnect(
      new BackendError('unreachable', 'Redis: another server is the primary now'),
    );
  }
}

/** For blocking connections: the events of the main connection represent them. */
const noListener: ConnectionListener = {
  connected: () => undefined,
  attemptFailed: () => undefined,
  disconnected: () => undefined,
};
