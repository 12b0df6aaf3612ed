import type { Clock } from '@holdfast/foundation';
import type { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
import { classifyRedisError } from '../errors.ts';

/**
 * One client from its first byte to its last. Every call on it has a deadline, and when the connection is
 * lost every pending call is told at once, whether the client underneath settles it or not.
 */
export class Connection {
  /** Resolves with the reason once the connection is closed or given up. */
  readonly lost: Promise<BackendError>;
  readonly client: Redis;
  readonly #clock: Clock;
  readonly #pending = new Set<(error: BackendError) => void>();
  #isClosed = false;
  #lostBecause: BackendError | undefined;
  #tellLost!: (error: BackendError) => void;

  constructor(client: Redis, clock: Clock) {
    this.client = client;
    this.#clock = clock;
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
    // The client announces why as an event and then merely closes.
    let said: unknown;
    client.on('error', (error: unknown) => {
      said = error;
    });
    client.once('close', () => {
      this.#isClosed = true;
      const closed = new BackendError('unreachable', 'Redis: the server closed the connection');
      this.disconnect(said === undefined ? closed : classifyRedisError(said));
    });
  }

  /**
   * Settles like the exchange; rejects with a BackendError when the server refuses, the connection is
   * lost, or `limitMs` pass, which gives the connection up.
   */
  call<T>(limitMs: number, exchange: (client: Redis) => Promise<T>): Promise<T> {
    if (this.#lostBecause !== undefined) return Promise.reject(this.#lostBecause);
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

  /** Gives the connection up; all that is pending on it rejects with `error`. */
  disconnect(error: BackendError): void {
    if (this.#lostBecause !== undefined) return;
    this.#lostBecause = error;
    this.#end();
    for (const fail of this.#pending) fail(error);
    this.#tellLost(error);
  }

  /** Without waiting for a server that may never answer; and a closed client is not to be asked again. */
  #end(): void {
    if (this.#isClosed) return;
    this.client.disconnect();
    this.client.stream?.destroy();
  }
}
