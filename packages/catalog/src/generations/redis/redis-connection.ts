import {
  type PipelineCommand,
  RedisLink,
  RedisUnavailableError,
  isRefusal,
} from '@holdfast/cache/redis-link';
import {
  type Clock,
  type Outcome,
  abortable,
  propertyOf,
  settlesWithin,
} from '@holdfast/foundation';
import { Redis } from 'ioredis';
import { CatalogStoreError, type StoreFailure } from '../errors.ts';
import type { CatalogRedisServer } from './options.ts';

export const REDIS = 'redis';

interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** What is known of the effect when the answer is lost. Default `not-applied`: nothing has been published. */
  readonly lost?: Outcome;
}

/** The store's own connection: every call ends in time, and while Redis is away none waits for it to come back. */
export class RedisConnection {
  readonly #link: RedisLink;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #isOpened = false;
  #isClosed = false;

  constructor({ server, timeoutMs, clock }: CatalogRedisServer) {
    // This one never connects: the link makes its own from it.
    const client = 'url' in server ? new Redis(server.url, { lazyConnect: true }) : server.client;
    this.#link = new RedisLink(client, clock);
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * The replies to all commands, when none was refused.
   * @throws CatalogStoreError; the signal's own reason
   */
  async run(
    commands: readonly PipelineCommand[],
    { signal, lost = 'not-applied' }: RunOptions = {},
  ): Promise<unknown[]> {
    signal?.throwIfAborted();
    const endMs = this.#clock.now() + this.#timeoutMs;
    if (!this.#isOpened) await settlesWithin(this.#clock, this.#timeoutMs, this.#link.opened);
    this.#isOpened = true;
    if (this.#isClosed) throw new CatalogStoreError(REDIS, 'closed', 'was closed');
    const outcome = this.#link.isReady ? lost : 'not-applied';
    const work = this.#exchange(commands, endMs, outcome);
    const replies = await (signal === undefined ? work : abortable(work, signal));
    for (const reply of replies) {
      if (reply instanceof Error) throw refused(reply);
    }
    return replies;
  }

  close(): void {
    this.#isClosed = true;
    this.#link.close();
  }

  async #exchange(
    commands: readonly PipelineCommand[],
    endMs: number,
    outcome: Outcome,
  ): Promise<unknown[]> {
    try {
      return await this.#link.run(commands, Math.max(1, endMs - this.#clock.now()));
    } catch (error) {
      if (!(error instanceof RedisUnavailableError)) throw error;
      if (this.#isClosed) {
        throw new CatalogStoreError(REDIS, 'closed', 'was closed', { cause: error, outcome });
      }
      // Behind a late answer others would be late too, and a replica that was the primary stays one.
      if (error.isTimeout || isRefusal(propertyOf(error, 'cause'), /^READONLY/)) this.#link.renew();
      const [reason, seen]: [StoreFailure, string] = error.isTimeout
        ? ['timeout', `did not answer within ${this.#timeoutMs} ms`]
        : ['unreachable', 'cannot be reached'];
      throw new CatalogStoreError(REDIS, reason, seen, { cause: error, outcome });
    }
  }
}

function refused(reply: Error): CatalogStoreError {
  if (/\bOOM\b/.test(reply.message)) {
    return new CatalogStoreError(REDIS, 'full', 'has no memory left', { cause: reply });
  }
  if (/^(?:NOAUTH|WRONGPASS|NOPERM)\b/.test(reply.message)) {
    return new CatalogStoreError(REDIS, 'unreachable', 'refuses the user', { cause: reply });
  }
  return new CatalogStoreError(REDIS, 'refused', 'answered with an error', { cause: reply });
}
