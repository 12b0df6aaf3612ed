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

/** Options of {@link supabaseBackend}: a supabase-js client, or the URL and a key of the project. */
export type SupabaseBackendOptions = SupabaseBucketOptions &
  (
    | {
        /** A client of `@supabase/supabase-js`, in place of `url` and `key`. */
        client: SupabaseClientLike;
      }
    | {
        /** The URL of the project. */
        url: string;
        /** The key that requests are made with; a service role key where policies are not to apply. */
        key: string;
        /** Makes the requests. Default: the global `fetch`. */
        fetch?: typeof fetch;
      }
  );

/** The options of `supabaseBackend` beside the client. */
export interface SupabaseBucketOptions {
  /** The bucket, which exists. */
  bucket: string;
  /** Default `supabase`. */
  name?: string;
  /** Time limit for a response, in milliseconds, beside the time for sending a body. Default 15 000. */
  requestTimeoutMs?: number;
  /** The lowest rate of sending: the time limit grows by a second for this many bytes. Default 65 536. */
  minBytesPerSecond?: number;
  /** Longer bodies are sent by TUS, in parts of 6 MiB. Default 6 MiB. */
  largeFromBytes?: number;
  /** Reads an object's checksum with each download, by one more request. Default true. */
  verifyDownloads?: boolean;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The length that the server demands of every part but the last. */
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

/** The options with every default filled in; `url` and `key` are set when there is no client. */
interface ResolvedBackendOptions extends Required<SupabaseBucketOptions> {
  client: SupabaseClientLike | undefined;
  url: string;
  key: string;
  fetch: typeof fetch;
}

/** @throws InvalidOptionError */
export function parseSupabaseOptions(options: SupabaseBackendOptions): ResolvedBackendOptions {
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
