import {
  type Clock,
  InvalidOptionError,
  callback,
  boolean,
  objectWith,
  integer,
  optional,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import type { SupabaseClientLike } from './connection.ts';

/** Options of {@link supabaseBackend}: a supabase-js client, or the project's address and a key. */
export type SupabaseBackendOptions = SupabaseBucketOptions &
  ({ client: SupabaseClientLike } | { url: string; key: string; fetch?: typeof fetch });

export interface SupabaseBucketOptions {
  bucket: string;
  /** Default `supabase`. */
  name?: string;
  /** No answer within this time, in milliseconds, ends a call; sending its body has its own. Default 15 000. */
  requestTimeoutMs?: number;
  /** How slow sending may be: a call has a second more for each of so many bytes. Default 65 536. */
  minBytesPerSecond?: number;
  /** Longer bodies are sent by TUS, in parts of 6 MiB. Default 6 MiB. */
  largeFromBytes?: number;
  /** Asks for an object's checksum with each download, which is a request more. Default true. */
  verifyDownloads?: boolean;
  clock?: Clock;
}

/** The server takes parts of exactly this length, the last one excepted. */
export const PART_BYTES: number = 6 * 1_048_576;

const shape = {
  client: optional(objectWith<SupabaseClientLike>(['storage'])),
  url: string({ minLength: 0, maxLength: 2_000, default: '' }),
  key: string({ minLength: 0, maxLength: 10_000, default: '' }),
  fetch: callback<typeof fetch>((input, init) => globalThis.fetch(input, init)),
  bucket: string({ maxLength: 100 }),
  name: string({ maxLength: 100, default: 'supabase' }),
  requestTimeoutMs: integer({ min: 1, max: 3_600_000, default: 15_000 }),
  minBytesPerSecond: integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: 65_536 }),
  largeFromBytes: integer({ min: 1, max: 5 * 2 ** 30, default: PART_BYTES }),
  verifyDownloads: boolean(true),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** The options with every default filled in; without a client, with an address. */
export interface ResolvedSupabaseOptions extends Required<SupabaseBucketOptions> {
  client: SupabaseClientLike | undefined;
  url: string;
  key: string;
  fetch: typeof fetch;
}

/** @throws InvalidOptionError */
export function parseSupabaseOptions(options: SupabaseBackendOptions): ResolvedSupabaseOptions {
  const resolved = parseOptions('supabaseBackend', shape, options);
  if (resolved.client === undefined) {
    for (const field of ['url', 'key'] as const) {
      if (resolved[field] !== '') continue;
      throw new InvalidOptionError('supabaseBackend', field, undefined, 'given, or a client');
    }
  }
  if (/[/\\]|^\.{1,2}$/.test(resolved.bucket)) {
    throw new InvalidOptionError('supabaseBackend', 'bucket', resolved.bucket, 'a bucket name');
  }
  return resolved;
}
