import type { Clock, Timer } from '@holdfast/foundation';
import { BackendError } from '../errors.ts';
import type { IoredisClient } from './connector.ts';
import { UploadPace } from './connection/upload-pace.ts';
import { classifyRedisError } from './errors.ts';

/**
 * One ioredis client and its only connection. Every call has a deadline, which restarts with each byte that arrives: a
 * slow link is not a dead one. When the connection ends, every pending call
 * rejects at once, whether or not the client settles it.
 */
export class ClientConnection {
  /** Resolves with the reason once the connection is closed or given up. */
  readonly disconnected: Promise<BackendError>;
  readonly client: IoredisClient;
  readonly #clock: Clock;
  readonly #pending = new Set<(error: BackendError) => void>();
  #isClosed = false;
  /** When bytes arrived last. */
  #receivedMs = -Infinity;
  #watched: IoredisClient['stream'];
  #reason: BackendError | undefined;
  #resolveDisconnected!: (error: BackendError) => void;

  /** Bytes that were written for calls that have no answer yet. */
  #uploading = 0;
  readonly #pace: UploadPace;

  /** @param pace what earlier connections to the server have learned. */
  constructor(client: IoredisClient, clock: Clock, pace: UploadPace = new UploadPace()) {
    this.client = client;
    this.#pace = pace;
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

  /** Whether a call waits for its reply; its deadline watches the connection. */
  get isAwaitingReply(): boolean {
    return this.#pending.size > 0;
  }

  /**
   * Settles as the exchange does. Rejects with a BackendError when the server rejects the command, the connection
   * ends, or nothing has arrived for `limitMs` and the time that the bytes of the calls need on their way, which ends
   * the connection.
   * @param waitMs how much longer the server may wait before its reply begins.
   */
  call<T>(
    limitMs: number,
    exchange: (client: IoredisClient) => Promise<T>,
    waitMs = 0,
  ): Promise<T> {
    if (this.#reason !== undefined) return Promise.reject(this.#reason);
    this.#watchBytes();
    const startedMs = this.#clock.now();
    const written = this.#writtenBytes;
    const exchanged = exchange(this.client);
    const bytes = this.#writtenBytes - written;
    this.#uploading += bytes;
    const uploading = this.#uploading;
    const silenceMs = limitMs + this.#pace.allowanceMs(uploading);
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        deadline.cancel();
        this.#pending.delete(fail);
        this.#uploading -= bytes;
      };
      const fail = (error: BackendError): void => {
        finish();
        reject(error);
      };
      const arm = (delayMs: number): Timer => this.#clock.schedule(delayMs, onSilence);
      const onSilence = (): void => {
        const nowMs = this.#clock.now();
        const endsMs = Math.max(startedMs + waitMs, this.#receivedMs) + silenceMs;
        if (endsMs > nowMs) {
          deadline = arm(endsMs - nowMs);
          return;
        }
        this.#pace.timedOut(uploading);
        this.disconnect(
          new BackendError('unreachable', `Redis: no answer within ${Math.round(silenceMs)} ms`),
        );
      };
      let deadline = arm(silenceMs + waitMs);
      this.#pending.add(fail);
      exchanged.then(
        (value) => {
          this.#pace.answered(uploading, this.#clock.now() - startedMs);
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

  get #writtenBytes(): number {
    return this.client.stream?.bytesWritten ?? 0;
  }

  #watchBytes(): void {
    const { stream } = this.client;
    if (stream === this.#watched) return;
    this.#watched = stream;
    // The client listens already, so this listener does not start the flow.
    stream?.on?.('data', () => {
      this.#receivedMs = this.#clock.now();
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
