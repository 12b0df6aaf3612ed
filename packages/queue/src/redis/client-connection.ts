import type { Clock } from '@holdfast/foundation';
import type { Redis } from 'ioredis';
import { BackendError } from '../errors.ts';
import { classifyRedisError } from './errors.ts';

/**
 * One ioredis client and its only connection. Every call has a deadline. When the connection ends, every pending call
 * rejects at once, whether or not the client settles it.
 */
export class ClientConnection {
  /** Resolves with the reason once the connection is closed or given up. */
  readonly disconnected: Promise<BackendError>;
  readonly client: Redis;
  readonly #clock: Clock;
  readonly #pending = new Set<(error: BackendError) => void>();
  #isClosed = false;
  #reason: BackendError | undefined;
  #resolveDisconnected!: (error: BackendError) => void;

  constructor(client: Redis, clock: Clock) {
    this.client = client;
    this.#clock = clock;
    this.disconnected = new Promise((resolve) => {
      this.#resolveDisconnected = resolve;
    });
    // The client emits the reason as `error` and then merely `close`.
    let lastError: unknown;
    client.on('error', (error: unknown) => {
      lastError = error;
    });
    client.once('close', () => {
      this.#isClosed = true;
      const closed = new BackendError('unreachable', 'Redis: the server closed the connection');
      this.disconnect(lastError === undefined ? closed : classifyRedisError(lastError));
    });
  }

  /**
   * Settles as the exchange does. Rejects with a BackendError when the server rejects the command, the connection
   * ends, or `limitMs` pass, which ends the connection.
   */
  call<T>(limitMs: number, exchange: (client: Redis) => Promise<T>): Promise<T> {
    if (this.#reason !== undefined) return Promise.reject(this.#reason);
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        deadline.cancel();
        this.#pending.delete(fail);
      };
      const fail = (error: BackendError): void => {
        finish();
        reject(error);
      };
      const deadline = this.#clock.schedule(limitMs, () =>
        this.disconnect(new BackendError('unreachable', `Redis: no answer within ${limitMs} ms`)),
      );
      this.#pending.add(fail);
      exchange(this.client).then(
        (value) => {
          finish();
          resolve(value);
        },
        (error: unknown) => {
          const failure = classifyRedisError(error);
          if (failure.errorClass === 'unreachable') this.disconnect(failure);
          fail(failure);
        },
      );
    });
  }

  /** Ends the connection; all pending calls reject with `error`. */
  disconnect(error: BackendError): void {
    if (this.#reason !== undefined) return;
    this.#reason = error;
    this.#end();
    for (const fail of this.#pending) fail(error);
    this.#resolveDisconnected(error);
  }

  /** Does not wait for the server, which may never answer; a closed client must not be disconnected again. */
  #end(): void {
    if (this.#isClosed) return;
    this.client.disconnect();
    this.client.stream?.destroy();
  }
}
