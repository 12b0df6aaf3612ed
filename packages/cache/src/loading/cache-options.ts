import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type Random,
  callback,
  integer,
  number,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  systemRandom,
} from '@holdfast/foundation';
import type { CacheEntryOptions, CacheLoadOptions, CacheWarmOptions } from '../cache.ts';
import {
  type MemoryCacheOptions,
  type ResolvedMemoryOptions,
  parseMemoryOptions,
} from '../memory/memory-options.ts';

/** Options of `createCache`. All times in milliseconds. */
export interface CacheOptions {
  /** Bounds and form of what is held in memory. */
  memory?: Omit<MemoryCacheOptions, 'clock' | 'ttlMs'>;
  /** How long an answer is fresh, in milliseconds. Default 60 000. */
  ttlMs?: number;
  /** How long after that it may be served stale, in milliseconds. Default 600 000; 0: not at all. */
  staleMs?: number;
  /**
   * What a stale answer is for. `'serve'` (default): it is served at once while one call asks the source. `'load'`:
   * callers wait for the source, and get the stale answer if it fails.
   */
  whenStale?: 'serve' | 'load';
  /**
   * How long a failure of the source, or that it has nothing (`undefined`), is remembered, in milliseconds.
   * Default 1 000; 0: not at all.
   */
  negativeMs?: number;
  /** How long the source may take, in milliseconds. Default 30 000. */
  loadTimeoutMs?: number;
  /** The wait after a refresh that failed, in milliseconds; doubles up to 30 times as long. Default 1 000. */
  refreshBackoffMs?: number;
  /**
   * How eagerly fresh answers are refreshed before their TTL ends, in units of the time that loading takes: spreads
   * the refreshes of many processes. Default 1; 0: never.
   */
  earlyRefresh?: number;
  /** How many invalidations by tag are kept apart. Default 10 000. */
  maxTags?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

const YEAR_MS = 31_536_000_000;
const MAX_TAGS_OF_ENTRY = 16;
const MAX_TAG_LENGTH = 256;
const ttl = { min: 1, max: YEAR_MS };

const schema = {
  memory: optional(objectWith<object>([])),
  ttlMs: number({ ...ttl, default: 60_000 }),
  staleMs: number({ min: 0, max: YEAR_MS, default: 600_000 }),
  whenStale: oneOf(['serve', 'load'], 'serve'),
  negativeMs: number({ min: 0, max: 3_600_000, default: 1_000 }),
  loadTimeoutMs: number({ min: 1, max: 3_600_000, default: 30_000 }),
  refreshBackoffMs: number({ min: 1, max: 3_600_000, default: 1_000 }),
  earlyRefresh: number({ min: 0, max: 100, default: 1 }),
  maxTags: integer({ min: 1, max: 1_000_000, default: 10_000 }),
  clock: optional(objectWith<Clock>(['now', 'epochMs', 'schedule'])),
  random: callback<Random>(systemRandom),
};

const TAGS = `at most ${MAX_TAGS_OF_ENTRY} strings of 1 to ${MAX_TAG_LENGTH} characters`;
const tags: OptionRule<readonly string[]> = {
  permitted: TAGS,
  parse(value, field, owner) {
    if (Array.isArray(value) && value.length <= MAX_TAGS_OF_ENTRY && value.every(isTag)) {
      return [...new Set(value)];
    }
    throw new InvalidOptionError(owner, field, value, TAGS);
  },
  defaultValue: () => [],
};
const signal = optional(objectWith<AbortSignal>(['throwIfAborted', 'addEventListener']));
const entrySchema = { ttlMs: optional(number(ttl)), tags };
const loadSchema = { ...entrySchema, signal };
const warmSchema = {
  ...loadSchema,
  concurrency: integer({ min: 1, max: 1_000, default: 4 }),
  isOverloaded: callback<() => boolean>(() => false),
};

/** The options of a cache with their defaults. */
export interface ResolvedCacheOptions extends Readonly<
  Required<Omit<CacheOptions, 'memory' | 'clock'>>
> {
  readonly memory: ResolvedMemoryOptions;
  readonly clock: Clock;
}

/** @throws InvalidOptionError */
export function parseCacheOptions(
  options: CacheOptions | undefined,
  owner = 'createCache',
): ResolvedCacheOptions {
  const { memory, clock, ...resolved } = parseOptions(owner, schema, options);
  // The time is that of the cache.
  const { ttlMs: own, clock: other, ...bounds } = { ttlMs: undefined, clock: undefined, ...memory };
  if (own !== undefined || other !== undefined) {
    const field = own === undefined ? 'memory.clock' : 'memory.ttlMs';
    throw new InvalidOptionError(
      owner,
      field,
      own ?? other,
      'left out: it is an option of the cache',
    );
  }
  const timed = clock === undefined ? bounds : { ...bounds, clock };
  const inMemory = parseMemoryOptions(owner, timed, 'memory');
  return { ...resolved, memory: inMemory, clock: inMemory.clock };
}

/** What is stored with an entry. */
export interface EntryOptions {
  readonly ttlMs: number | undefined;
  readonly tags: readonly string[];
}

/** @throws InvalidOptionError */
export function parseEntryOptions(options: CacheEntryOptions): EntryOptions {
  return parseOptions('set', entrySchema, options);
}

/** @throws InvalidOptionError */
export function parseLoadOptions(
  owner: string,
  options: CacheLoadOptions,
): EntryOptions & { readonly signal: AbortSignal | undefined } {
  return parseOptions(owner, loadSchema, options);
}

type ResolvedWarmOptions = EntryOptions &
  Required<Pick<CacheWarmOptions, 'concurrency' | 'isOverloaded'>> & {
    readonly signal: AbortSignal | undefined;
  };

/** @throws InvalidOptionError */
export function parseWarmOptions(options: CacheWarmOptions | undefined): ResolvedWarmOptions {
  return parseOptions('warm', warmSchema, options);
}

/** @throws InvalidOptionError */
export function checkLoad(owner: string, load: unknown): void {
  if (typeof load === 'function') return;
  throw new InvalidOptionError(owner, 'load', load, 'a function that asks the source');
}

/** @throws InvalidOptionError */
export function checkTag(tag: unknown): asserts tag is string {
  if (isTag(tag)) return;
  const permitted = `a string of 1 to ${MAX_TAG_LENGTH} characters`;
  throw new InvalidOptionError('invalidateTag', 'tag', tag, permitted);
}

function isTag(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_TAG_LENGTH;
}
