import { objectWith, integer, parseOptions, string } from '@holdfast/foundation';
import type { IdempotencyLedger } from './idempotency-ledger.ts';

/** The part of a Redis client that the ledger uses; clients of ioredis have it. */
export interface LedgerRedis {
  exists(key: string): Promise<number>;
  set(key: string, value: string, px: 'PX', ms: number): Promise<unknown>;
}

export interface RedisLedgerOptions {
  client: LedgerRedis;
  /** How long a job is remembered, in milliseconds. Default one day. */
  ttlMs?: number;
  /** The prefix of the keys. Default `holdfast:done`. */
  prefix?: string;
}

const DAY_MS = 86_400_000;

const shape = {
  client: objectWith<LedgerRedis>(['exists', 'set']),
  ttlMs: integer({ min: 1, max: 365 * DAY_MS, default: DAY_MS }),
  prefix: string({ maxLength: 100, default: 'holdfast:done' }),
};

/**
 * Creates a ledger in Redis, for all consumers. The effect may happen again when a consumer dies between the effect
 * and its record, or when Redis loses the record.
 * @throws InvalidOptionError
 */
export function redisLedger(options: RedisLedgerOptions): IdempotencyLedger {
  const { client, ttlMs, prefix } = parseOptions('redisLedger', shape, options);
  return {
    async once({ topic, id }, effect) {
      const key = `${prefix}:{${topic}}:${id}`;
      if ((await client.exists(key)) > 0) return 'known';
      await effect(undefined);
      await client.set(key, '1', 'PX', ttlMs);
      return 'applied';
    },
  };
}
