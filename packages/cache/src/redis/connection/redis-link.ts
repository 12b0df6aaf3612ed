import { type Clock, HoldfastError, propertyOf } from '@holdfast/foundation';
import { type CacheRedisClient, duplicateOf } from './redis-client.ts';
import type { RedisScript } from '../protocol/redis-script.ts';

type Argument = string | number | Buffer;

interface ScriptCall {
  readonly script: RedisScript;
  readonly keys: readonly string[];
  readonly args: readonly Argument[];
}

/** A method of the client with its arguments, or a script. */
export type PipelineCommand = readonly [method: string, ...args: Argument[]] | ScriptCall;

/** Redis has not answered; whether a command had an effect is not known. Only the event `redis-lost` tells it. */
export class RedisUnavailableError extends HoldfastError {
  readonly code = 'CACHE_REDIS_UNAVAILABLE';

  /** Whether there is a connection, but no answer in time. */
  readonly isTimeout: boolean;

  constructor(
    message: string,
    { isTimeout = false, ...details }: { readonly cause?: unknown; isTimeout?: boolean } = {},
  ) {
    super(message, { ...details, retryable: true, outcome: 'unknown' });
    this.isTimeout = isTimeout;
  }
}

/** Answers that say that the server cannot serve now. */
const NOT_SERVING = /^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|UNBLOCKED|READONLY|NOREPLICAS)\b/;

/** One connection. Every call ends within its time, whatever becomes of the server. */
export class RedisLink {
  readonly #client: ReturnType<typeof duplicateOf>;
  readonly #clock: Clock;
  readonly #inFlight = new Set<(error: Error) => void>();
  /** Settles with the first connection, or its failure. */
  readonly opened: Promise<void>;
  #lastError: unknown;

  constructor(client: CacheRedisClient, clock: Clock) {
    this.#client = duplicateOf(client);
    this.#clock = clock;
    this.#client.on('error', (error) => {
      this.#lastError = error;
    });
    this.#client.on('close', () => this.failAll());
    this.opened = this.#open();
  }

  get isReady(): boolean {
    return this.#client.status === 'ready';
  }

  /**
   * The replies in the order of the commands; an Error where Redis has refused one.
   * @throws RedisUnavailableError
   */
  async run(commands: readonly PipelineCommand[], limitMs: number): Promise<unknown[]> {
    const endMs = this.#clock.now() + limitMs;
    const replies = await this.#exchange(commands.map(asCommand), limitMs);
    const unknown = commands.flatMap((command, at) =>
      'script' in command && isRefusal(replies[at], /^NOSCRIPT/) ? [{ command, at }] : [],
    );
    if (unknown.length === 0) return replies;
    const whole = unknown.map(({ command }) => asWholeScript(command));
    const again = await this.#exchange(whole, Math.max(1, endMs - this.#clock.now()));
    for (const [index, { at }] of unknown.entries()) replies[at] = again[index];
    return replies;
  }

  /** All that wait for an answer get none. */
  failAll(error: Error = new RedisUnavailableError('the connection is lost')): void {
    for (const fail of this.#inFlight) fail(error);
  }

  /** A new connection, unless one is being made already. */
  renew(): void {
    if (!this.isReady) return;
    if (this.#client.stream === undefined || this.#client.stream === null) {
      this.#client.disconnect(true);
    } else {
      this.#client.stream.destroy();
    }
  }

  close(): void {
    this.#client.disconnect();
    this.#client.stream?.destroy();
    this.failAll();
  }

  async #open(): Promise<void> {
    try {
      await this.#client.connect();
    } catch (error) {
      // The event before it has the reason.
      this.#lastError ??= error;
    }
  }

  #exchange(commands: unknown[][], limitMs: number): Promise<unknown[]> {
    if (!this.isReady) {
      const lost = new RedisUnavailableError('no connection', { cause: this.#lastError });
      return Promise.reject(lost);
    }
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        timer.cancel();
        this.#inFlight.delete(fail);
      };
      const fail = (error: Error): void => {
        settle();
        reject(error);
      };
      const timer = this.#clock.schedule(limitMs, () => {
        // The answer may have arrived while this process was busy: one turn for what is in the socket.
        const seen = `no answer within ${Math.ceil(limitMs)} ms`;
        setImmediate(() => fail(new RedisUnavailableError(seen, { isTimeout: true })));
      });
      this.#inFlight.add(fail);
      this.#client
        .pipeline(commands)
        .exec()
        .then(
          (results) => {
            settle();
            resolve(repliesIn(results));
          },
          (error: unknown) => {
            fail(new RedisUnavailableError('the connection is lost', { cause: error }));
          },
        )
        .catch(fail);
    });
  }
}

/** Whether a reply of Redis is an error with that reason. */
export function isRefusal(reply: unknown, reason: RegExp): boolean {
  return reply instanceof Error && reason.test(reply.message);
}

function asCommand(command: PipelineCommand): unknown[] {
  if (!('script' in command)) return [...command];
  const { script, keys, args } = command;
  return ['evalsha', script.sha, keys.length, ...keys, ...args];
}

function asWholeScript({ script, keys, args }: ScriptCall): unknown[] {
  return ['eval', script.text, keys.length, ...keys, ...args];
}

/** @throws RedisUnavailableError if the server or the connection was away for one of them */
function repliesIn(results: unknown): unknown[] {
  const pairs: unknown[] = Array.isArray(results) ? results : [];
  return pairs.map((pair) => {
    const [error, value]: unknown[] = Array.isArray(pair) ? pair : [];
    if (error === null || error === undefined) return value;
    const isAnswer = propertyOf(error, 'name') === 'ReplyError';
    if (error instanceof Error && isAnswer && !NOT_SERVING.test(error.message)) return error;
    throw new RedisUnavailableError('Redis cannot serve', { cause: error });
  });
}
