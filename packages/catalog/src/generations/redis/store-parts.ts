import type { Emitter, EventKinds } from '@holdfast/foundation';
import type { ChunkDefect } from '../../documents/errors.ts';
import { CatalogFencedError } from '../errors.ts';
import type { GenerationPlace } from '../generation-store.ts';
import type { GenerationKeys } from './keys.ts';
import type { ResolvedRedisGenerationsOptions } from './options.ts';
import { REDIS, type RedisConnection } from './redis-connection.ts';

/** A chunk, by the rows that are in it. */
export interface ChunkEvent {
  readonly generation: number;
  readonly firstRow: number;
  readonly rows: number;
}

/** The events of a store in Redis, by name. */
export interface RedisGenerationsEvents {
  /** A chunk was not what was written, and nobody is given it; quarantined, it is kept aside for a day. */
  damaged: ChunkEvent & { readonly defect: ChunkDefect; readonly isQuarantined: boolean };
  /** A chunk was gone: evicted or deleted. */
  missing: ChunkEvent;
  /** A chunk was made again; `isStored` where Redis has taken it. */
  rebuilt: ChunkEvent & { readonly isStored: boolean };
}

export const redisGenerationsEventKinds: EventKinds<RedisGenerationsEvents> = {
  damaged: true,
  missing: true,
  rebuilt: true,
};

/** What the parts of the store share. */
export interface RedisStoreParts {
  readonly connection: RedisConnection;
  readonly keys: GenerationKeys;
  readonly options: ResolvedRedisGenerationsOptions;
  readonly events: Emitter<RedisGenerationsEvents>;
}

/** What a script answers: a word, and numbers. */
interface ScriptAnswer {
  readonly kind: string;
  readonly numbers: readonly number[];
}

export function answerOf(reply: unknown): ScriptAnswer {
  const [kind, ...rest]: unknown[] = Array.isArray(reply) ? reply : [];
  return { kind: String(kind), numbers: rest.map(Number) };
}

export function fencedError(
  given: GenerationPlace,
  [generation = 0, token = 0]: readonly number[],
): CatalogFencedError {
  return new CatalogFencedError(REDIS, given, { generation, token });
}
