import {
  type Clock,
  InvalidOptionError,
  integer,
  number,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import type { HoldMode } from './holding.ts';

/** Options of `createMemoryCache`. */
export interface MemoryCacheOptions {
  /** The memory that the entries may take, in bytes. Default 64 MiB. */
  maxBytes?: number;
  /** The memory that one entry may take, in bytes. Default and maximum: a sixteenth of `maxBytes`. */
  maxEntryBytes?: number;
  /** Default 16 000 000, near the most that a Map holds. */
  maxEntries?: number;
  /** How long a value may be read, in milliseconds. Default 300 000. */
  ttlMs?: number;
  /**
   * The share of the TTL by which each key's is shortened at most, from 0 to 0.5: keys set at one moment expire at
   * many. The same for a key each time. Default 0.1.
   */
  ttlJitter?: number;
  /** How values are held. Default `'frozen'`. */
  hold?: HoldMode;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const MIB = 1_048_576;
const TIB = 1_099_511_627_776;
const YEAR_MS = 31_536_000_000;
const LARGEST_ENTRY = 1_073_741_824;
/** The share of the bound that one entry may take. */
const ENTRY_SHARE = 16;
const MAX_KEY_LENGTH = 4_096;

const ttlMs = { min: 1, max: YEAR_MS };

const schema = {
  maxBytes: integer({ min: 65_536, max: TIB, default: 64 * MIB }),
  maxEntryBytes: optional(integer({ min: 256, max: LARGEST_ENTRY })),
  maxEntries: integer({ min: 1, max: 16_000_000, default: 16_000_000 }),
  ttlMs: number({ ...ttlMs, default: 300_000 }),
  ttlJitter: number({ min: 0, max: 0.5, default: 0.1 }),
  hold: oneOf(['frozen', 'encoded', 'reference'], 'frozen'),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};
const setSchema = { ttlMs: optional(number(ttlMs)) };

/** The options of a memory cache with their defaults. */
export type ResolvedMemoryOptions = Readonly<Required<MemoryCacheOptions>>;

/**
 * @param path of the options in those of `owner`
 * @throws InvalidOptionError
 */
export function parseMemoryOptions(
  owner: string,
  options: MemoryCacheOptions | undefined,
  path?: string,
): ResolvedMemoryOptions {
  const resolved = parseOptions(owner, schema, options, path);
  const share = Math.min(LARGEST_ENTRY, Math.floor(resolved.maxBytes / ENTRY_SHARE));
  const { maxEntryBytes = share } = resolved;
  if (maxEntryBytes > share) {
    const permitted = `at most a sixteenth of maxBytes (${share}), so that one value evicts few`;
    const field = path === undefined ? 'maxEntryBytes' : `${path}.maxEntryBytes`;
    throw new InvalidOptionError(owner, field, maxEntryBytes, permitted);
  }
  return { ...resolved, maxEntryBytes };
}

/** @throws InvalidOptionError */
export function parseTtl(options: object): number | undefined {
  return parseOptions('set', setSchema, options).ttlMs;
}

/** @throws InvalidOptionError */
export function checkKey(owner: string, key: unknown): asserts key is string {
  if (typeof key === 'string' && key.length > 0 && key.length <= MAX_KEY_LENGTH) return;
  throw new InvalidOptionError(owner, 'key', key, `a string of 1 to ${MAX_KEY_LENGTH} characters`);
}
