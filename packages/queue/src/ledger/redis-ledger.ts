import { objectWith, integer, parseOptions, string } from '@holdfast/foundation';
import type { IdempotencyLedger } from './idempotency-ledger.ts';

/** The part of a Redis client that the ledger uses; clients of ioredis have it. */
export interface LedgerRedis {
  exists(key: string): Promise<number>;
  set(key: string, value: string, px: 'PX', ms: number): Promise<unknown>;
}

/** Options of `redisLedger`. */
export interface RedisLedgerOptions {
  /** A client of ioredis that the caller connects and closes. */
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

/** Effects whose record Redis did not take: the process remembers this many of them. */
const MAX_UNRECORDED = 10_000;

/**
 * Creates a ledger in Redis, for all consumers. An effect whose record Redis does not take counts as applied, and this
 * process does not repeat it; its record is written with a later job. The effect may happen again when a consumer
 * dies between the effect and its record, or when Redis loses the record.
 * @throws InvalidOptionError
 */
export function redisLedger(options: RedisLedgerOptions): IdempotencyLedger {
  const { client, ttlMs, prefix } = parseOptions('redisLedger', shape, options);
  const unrecorded = new Set<string>();

  /** Never rejects: the effect has happened, whatever becomes of its record. */
  const record = async (key: string): Promise<void> => {
    unrecorded.add(key);
    try {
      await client.set(key, '1', 'PX', ttlMs);
      unrecorded.delete(key);
    } catch {
      for (const oldest of unrecorded) {
        if (unrecorded.size <= MAX_UNRECORDED) break;
        unrecorded.delete(oldest);
      }
    }
  };

  return {
    async once({ topic, id }, effect) {
      const key = `${prefix}:{${topic}}:${id}`;
      if (unrecorded.has(key)) {
        await record(key);
        return 'known';
      }
      if ((await client.exists(key)) > 0) return 'known';
      await effect(undefined);
      await record(key);
      const [left] = unrecorded;
      if (left !== undefined && left !== key) void record(left);
      return 'applied';
    },
  };
}
