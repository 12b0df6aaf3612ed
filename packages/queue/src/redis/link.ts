import {
  type Clock,
  type Random,
  type Timer,
  exponentialBackoff,
  sleep,
} from '@holdfast/resilience';
import type { Redis } from 'ioredis';
import type { LinkListener } from '../backend.ts';
import { BackendError } from '../errors.ts';
import { Connection } from './connection.ts';
import { type RedisConnector, requiredOptions } from './connector.ts';
import { classifyRedisError } from './errors.ts';

export interface LinkOptions {
  readonly connector: RedisConnector;
  readonly clock: Clock;
  readonly random: Random;
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly reconnect: { readonly initialDelayMs: number; readonly maxDelayMs: number };
}

/**
 * Keeps one connection to Redis standing: a fresh client per attempt, a deadline on the handshake and on
 * every call, a PING when idle, and a capped exponential backoff between attempts.
 *
 *     connecting ── PING answered ──▶ up ── closed, deadline passed, given up ──▶ connecting ...
 */
export class RedisLink {
  readonly #options: LinkOptions;
  readonly #closing = new AbortController();
  #connection: Connection | undefined;
  #isUp = false;
  #supervision: Promise<void> = Promise.resolve();
  #lastUseMs = 0;
  readonly #waiting = new Set<() => void>();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Starts reaching for the server, for as long as the link is not closed. */
  open(listener: LinkListener = silent): void {
    this.#supervision = this.#supervise(listener);
  }

  /** Resolves once the link is up; rejects with the signal's own reason, or when the link is closed. */
  whenUp(signal: AbortSignal): Promise<void> {
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
  lose(error: BackendError): void {
    this.#connection?.lose(error);
  }

  /**
   * Runs one exchange with the server, which may take `waitMs` longer than the deadline because it was
   * asked to. Rejects with a BackendError; at once when the link is down.
   */
  async call<T>(exchange: (client: Redis) => Promise<T>, waitMs = 0): Promise<T> {
    if (!this.#isUp || this.#connection === undefined) {
      throw new BackendError('unreachable', 'Redis: the link is down');
    }
    this.#lastUseMs = this.#options.clock.now();
    return this.#connection.call(this.#options.commandTimeoutMs + waitMs, exchange);
  }

  async close(): Promise<void> {
    const closed = new BackendError('unreachable', 'Redis: the link is closed');
    this.#closing.abort(closed);
    this.lose(closed);
    await this.#supervision;
  }

  async #supervise(listener: LinkListener): Promise<void> {
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
        const error = await this.#useUntilLost(() => listener.connected({ attempt }));
        attempt = 0;
        if (!signal.aborted) listener.disconnected({ error });
      } else if (!signal.aborted) {
        const delayMs = delays.next().value;
        listener.attemptFailed({ attempt, delayMs, error: failure });
        await sleep(clock, delayMs, signal).catch(() => undefined);
      }
    }
  }

  /** Makes a connection that has answered a PING, or says why there is none. */
  async #connect(): Promise<BackendError | undefined> {
    const { connector, connectTimeoutMs, clock } = this.#options;
    try {
      this.#connection = new Connection(connector(requiredOptions(connectTimeoutMs)), clock);
      await this.#connection.call(connectTimeoutMs, async (client) => {
        await client.connect();
        await client.ping();
      });
      return undefined;
    } catch (error) {
      const failure = error instanceof BackendError ? error : classifyRedisError(error);
      this.lose(failure);
      return failure;
    }
  }

  async #useUntilLost(onUp: () => void): Promise<BackendError> {
    const { clock, pingIntervalMs } = this.#options;
    let idle: Timer;
    const probe = (): void => {
      const restMs = this.#lastUseMs + pingIntervalMs - clock.now();
      if (restMs <= 0) void this.call(async (client) => client.ping()).catch(() => undefined);
      idle = clock.schedule(restMs > 0 ? restMs : pingIntervalMs, probe, { holdsProcess: false });
    };
    this.#lastUseMs = clock.now();
    idle = clock.schedule(pingIntervalMs, probe, { holdsProcess: false });
    this.#isUp = true;
    for (const proceed of this.#waiting) proceed();
    this.#waiting.clear();
    onUp();
    try {
      return (
        (await this.#connection?.lost) ?? new BackendError('unreachable', 'Redis: no connection')
      );
    } finally {
      this.#isUp = false;
      idle.cancel();
    }
  }
}

/** For a link whose fate another link tells. */
const silent: LinkListener = {
  connected: () => undefined,
  attemptFailed: () => undefined,
  disconnected: () => undefined,
};
