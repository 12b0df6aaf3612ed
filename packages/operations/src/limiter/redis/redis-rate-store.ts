import { createHash } from 'node:crypto';
import {
  InvalidOptionError,
  describeThrown,
  objectWith,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { RateStoreError } from '../errors.ts';
import type { RateReply, RateRequest, RateStore } from '../rate-limiter.ts';
import { joinScript, takeScript } from './script.ts';

/** What is used of a client of `ioredis` 5 or 6. */
export interface RedisRateClient {
  readonly status: string;
  readonly isCluster?: boolean;
  on(event: 'close', listener: () => void): unknown;
  info(section: string): Promise<string>;
  eval(script: string, keys: number, ...rest: (string | number)[]): Promise<unknown>;
  evalsha(sha: string, keys: number, ...rest: (string | number)[]): Promise<unknown>;
}

/** Options of `redisRateStore`. */
export interface RedisRateStoreOptions {
  /** A client of ioredis, which stays the caller's. */
  client: RedisRateClient;
  /** What keys begin with; limiters with the same one count together. Its keys are on one node of a cluster. */
  namespace: string;
}

const schema = {
  client: objectWith<RedisRateClient>(['status', 'on', 'info', 'eval', 'evalsha']),
  namespace: string({ maxLength: 200 }),
};

/**
 * Counts in Redis, in one step for each request. A server that was restarted, or another that took its place, is known
 * by its run id, so that one with older data admits nothing twice.
 * @throws InvalidOptionError
 */
export function redisRateStore(options: RedisRateStoreOptions): RateStore {
  const { client, namespace } = parseOptions('redisRateStore', schema, options);
  if (/[{}]/u.test(namespace)) {
    throw new InvalidOptionError('redisRateStore', 'namespace', namespace, 'without braces');
  }
  return new RedisRateStore(client, namespace);
}

class RedisRateStore implements RateStore {
  readonly #client: RedisRateClient;
  readonly #prefix: string;
  /** Of the server at the other end of the present connection; undefined until it is joined. */
  #runId: string | undefined;
  /** How often a connection has ended. */
  #closes = 0;

  constructor(client: RedisRateClient, namespace: string) {
    this.#client = client;
    this.#prefix = `{${namespace}}:rate:`;
    client.on('close', () => {
      this.#runId = undefined;
      this.#closes += 1;
    });
  }

  async join(settleMs: number): Promise<void> {
    this.#assertReady();
    const closes = this.#closes;
    const runId = await this.#readRunId();
    await this.#run(joinScript, [this.#known], [runId, settleMs]);
    // The client may have sent the script again, to another server than the one that told its run id.
    if (closes !== this.#closes) throw new RateStoreError('the connection ended meanwhile');
    this.#runId = runId;
  }

  async take({ key, cost, sustained, peak, settleMs }: RateRequest): Promise<RateReply> {
    this.#assertReady();
    if (this.#runId === undefined) throw new RateStoreError('the connection is new');
    const rates = [sustained.intervalMs, sustained.toleranceMs, peak.intervalMs, peak.toleranceMs];
    const keys = [this.#known, `${this.#prefix}key:${key}`];
    return replyOf(await this.#run(takeScript, keys, [this.#runId, settleMs, cost, ...rates]));
  }

  get #known(): string {
    return `${this.#prefix}store`;
  }

  /** A client that is not connected would keep the command until it is. */
  #assertReady(): void {
    const { status } = this.#client;
    if (status !== 'ready') throw new RateStoreError(`the client is ${status}`);
  }

  /**
   * A user without the right to ask is served too, and a cluster, which has many ids; a server with older data is then
   * not noticed.
   */
  async #readRunId(): Promise<string> {
    if (this.#client.isCluster === true) return 'cluster';
    try {
      return /run_id:(\w+)/u.exec(await this.#client.info('server'))?.[1] ?? 'unknown';
    } catch (error) {
      if (describeThrown(error).includes('NOPERM')) return 'unknown';
      throw error;
    }
  }

  async #run(script: string, keys: string[], args: (string | number)[]): Promise<unknown> {
    const sha = createHash('sha1').update(script).digest('hex');
    try {
      return await this.#client.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!describeThrown(error).includes('NOSCRIPT')) throw error;
      return this.#client.eval(script, keys.length, ...keys, ...args);
    }
  }
}

const ALLOWED = 0;
const LIMITED = 1;
const SETTLING = 2;

function replyOf(reply: unknown): RateReply {
  if (Array.isArray(reply)) {
    const [kind, number] = reply.map(Number);
    if (kind === ALLOWED && number !== undefined) return { kind: 'allowed', remaining: number };
    if (kind === LIMITED && number !== undefined) return { kind: 'limited', retryAfterMs: number };
    if (kind === SETTLING && number !== undefined) return { kind: 'settling', waitMs: number };
  }
  throw new RateStoreError('Redis answered something else');
}
