import {
  type Collector,
  type Row,
  collectTable,
  namedSources,
  rowsFor,
} from '@holdfast/foundation/metrics';
import type { OptionRule } from '@holdfast/foundation';
import type { MemoryCacheStats, TieredCacheStats } from './cache.ts';

/** The caches whose numbers are published, by the name they are published under. */
export type MeasuredCaches = Readonly<Record<string, { getStats(): MeasuredStats }>>;

/** What a memory cache has, and more of a cache in front of a source, and of one with Redis. */
type MeasuredStats = MemoryCacheStats & Partial<TieredCacheStats>;

export const measuredCaches: OptionRule<MeasuredCaches> = namedSources(['getStats']);

const { counter, gauge, results } = rowsFor<MeasuredStats>('cache');
const rows: readonly Row<MemoryCacheStats>[] = [
  gauge('cache_entries', 'Entries in memory', ({ entries }) => entries),
  gauge('cache_bytes', 'Memory that the entries take', ({ bytes }) => bytes),
  gauge('cache_max_bytes', 'Memory that they may take', ({ maxBytes }) => maxBytes),
  ...results('cache_reads_total', 'Reads of the memory', {
    hit: ({ hits }) => hits,
    miss: ({ misses }) => misses,
  }),
  counter('cache_sets_total', 'Values stored in memory', ({ sets }) => sets),
  counter('cache_evictions_total', 'Entries that made room', ({ evictions }) => evictions),
  counter('cache_expirations_total', 'Entries found expired', ({ expirations }) => expirations),
  counter('cache_too_large_total', 'Values not kept for their size', ({ tooLarge }) => tooLarge),
  counter('cache_stale_answers_total', 'Answers over their TTL', (stats) => stats.staleAnswers),
  counter('cache_loads_total', 'Calls of the source', ({ loads }) => loads),
  counter('cache_load_failures_total', 'Calls that failed', ({ loadFailures }) => loadFailures),
  counter('cache_joined_total', 'Calls that joined a load', ({ joined }) => joined),
  gauge('cache_loading', 'Loads that run', ({ loading }) => loading),
  counter(
    'cache_negative_answers_total',
    'Answers with a remembered failure',
    ({ negativeAnswers }) => negativeAnswers,
  ),
  gauge('cache_redis_connected', 'Whether Redis is used', ({ redis }) =>
    redis === undefined ? undefined : Number(redis.isConnected),
  ),
  ...results('cache_redis_reads_total', 'Reads of Redis', {
    hit: ({ redis }) => redis?.hits,
    miss: ({ redis }) => redis?.misses,
    damaged: ({ redis }) => redis?.damaged,
  }),
  ...results('cache_redis_writes_total', 'Values given to Redis', {
    stored: ({ redis }) => redis?.writes,
    refused: ({ redis }) => redis?.refused,
    discarded: ({ redis }) => redis?.discarded,
  }),
  counter(
    'cache_redis_timeouts_total',
    'Commands without an answer',
    (stats) => stats.redis?.timeouts,
  ),
  counter(
    'cache_redis_drops_total',
    'Times that memory was dropped',
    (stats) => stats.redis?.drops,
  ),
  gauge(
    'cache_redis_pending',
    'Invalidations that wait for Redis',
    (stats) => stats.redis?.pending,
  ),
];

export function cacheCollectors(caches: MeasuredCaches): Collector[] {
  const sources = Object.entries(caches).map(([name, cache]) => ({
    name,
    getStats: () => cache.getStats(),
  }));
  return collectTable('cache', rows, sources);
}
