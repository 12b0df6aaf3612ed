import { type Subscribe, createEmitter, integer } from '@holdfast/foundation';
import { randomUUID } from 'node:crypto';
import type { GenerationManifest } from '../../catalog.ts';
import { CatalogStoreError } from '../errors.ts';
import type {
  GenerationPlace,
  GenerationReader,
  GenerationStore,
  StagedGeneration,
  StoreCallOptions,
} from '../generation-store.ts';
import { GenerationKeys } from './keys.ts';
import { type RedisGenerationsOptions, parseRedisGenerationsOptions } from './options.ts';
import { type PublishedRecord, decodeRecord } from './published-record.ts';
import { REDIS, RedisConnection } from './redis-connection.ts';
import { RedisReader } from './redis-reader.ts';
import { STAGE } from './scripts.ts';
import { RedisStagedGeneration } from './staged-generation.ts';
import {
  type RedisGenerationsEvents,
  type RedisStoreParts,
  answerOf,
  fencedError,
  redisGenerationsEventKinds,
} from './store-parts.ts';

const generationRule = integer({ min: 1, max: 4_294_967_295 });
const tokenRule = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

/** A store of generations in Redis, and its events. */
export interface RedisGenerations extends GenerationStore {
  readonly on: Subscribe<RedisGenerationsEvents>;
}

/**
 * Keeps generations in Redis, in chunks that are written once and checked whenever they are read. Others hear of a new
 * generation when they ask for {@link GenerationStore.current}, one small value: a message would reach only those who
 * are connected at that moment, so that all would have to ask all the same.
 * @throws InvalidOptionError
 */
export function createRedisGenerations(given: RedisGenerationsOptions): RedisGenerations {
  const options = parseRedisGenerationsOptions(given);
  return new RedisGenerationStore({
    options,
    connection: new RedisConnection(options.server),
    keys: new GenerationKeys(options.prefix),
    events: createEmitter<RedisGenerationsEvents>(
      'holdfast:catalog-redis',
      redisGenerationsEventKinds,
    ),
  });
}

class RedisGenerationStore implements RedisGenerations {
  readonly name = REDIS;
  readonly on: Subscribe<RedisGenerationsEvents>;
  readonly #parts: RedisStoreParts;

  constructor(parts: RedisStoreParts) {
    this.#parts = parts;
    this.on = parts.events.on;
  }

  async stage(place: GenerationPlace, call: StoreCallOptions = {}): Promise<StagedGeneration> {
    const { connection, keys, options } = this.#parts;
    const { generation, token } = place;
    generationRule.parse(generation, 'generation', 'stage');
    tokenRule.parse(token, 'token', 'stage');
    const command = {
      script: STAGE,
      keys: [keys.current, keys.fence, keys.staged, keys.chunks],
      args: [generation, token, options.reserveBytes],
    };
    const [reply] = await connection.run([command], call);
    const { kind, numbers } = answerOf(reply);
    if (kind === 'fenced') throw fencedError(place, numbers);
    if (kind === 'full') {
      const [used, limit, expected] = numbers;
      const seen = `uses ${used} of at most ${limit} bytes, and a generation needs ${expected}`;
      throw new CatalogStoreError(REDIS, 'full', seen);
    }
    // Late commands of an attempt that was given up never reach the keys of another.
    const attempt = `${generation}:${token}:${randomUUID()}`;
    return new RedisStagedGeneration(this.#parts, place, attempt);
  }

  async current(call?: StoreCallOptions): Promise<GenerationManifest | undefined> {
    return (await this.#published(call))?.manifest;
  }

  async open(call?: StoreCallOptions): Promise<GenerationReader | undefined> {
    const record = await this.#published(call);
    return record === undefined ? undefined : new RedisReader(this.#parts, record);
  }

  async close(): Promise<void> {
    this.#parts.connection.close();
  }

  async #published(call: StoreCallOptions = {}): Promise<PublishedRecord | undefined> {
    const { connection, keys } = this.#parts;
    const [text] = await connection.run([['get', keys.current]], call);
    return typeof text === 'string' ? decodeRecord(text) : undefined;
  }
}
