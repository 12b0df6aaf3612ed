import {
  type Clock,
  type OptionRule,
  type OptionsSchema,
  callback,
  objectWith,
  integer,
  optional,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import type { FaultHook } from '../serving/call-faults.ts';
import { type StoragePolicy, policiesRule } from './access.ts';

/** Options of `createSupabaseStorageServer`. */
export interface SupabaseStorageServerOptions {
  /** Signs and verifies tokens by HS256; at least 32 characters. Default: a fixed secret. */
  jwtSecret?: string;
  /** Default: the service role may do everything, the others only read public buckets. */
  policies?: readonly StoragePolicy[];
  /** Stores all data, which then survives a restart; created when missing. Default: in memory. */
  directory?: string;
  /** Default 127.0.0.1. */
  host?: string;
  /** Default: any free port. */
  port?: number;
  /** The largest object of a resumable upload. Default 524 288 000. */
  maxObjectBytes?: number;
  /** The largest object of an ordinary upload. Default 52 428 800. */
  maxStandardUploadBytes?: number;
  /** The lifetime of an unfinished resumable upload. Default a day. */
  resumableExpiryMs?: number;
  /** The lifetime of a signed upload URL. Default two hours. */
  signedUploadExpiryMs?: number;
  /** How long a request waits for a frozen database. Default 3 000. */
  databaseTimeoutMs?: number;
  /** Called for each request before it is handled. */
  faults?: FaultHook;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const LONGEST_MS = 31_536_000_000;
const milliseconds = (fallback: number): OptionRule<number> =>
  integer({ min: 0, max: LONGEST_MS, default: fallback });
const bytes = (fallback: number): OptionRule<number> =>
  integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: fallback });

/** The options that describe the storage; those that say where it listens are below. */
export const supabaseStorageSchema: {
  readonly jwtSecret: OptionRule<string>;
  readonly policies: OptionRule<readonly StoragePolicy[]>;
  readonly maxObjectBytes: OptionRule<number>;
  readonly maxStandardUploadBytes: OptionRule<number>;
  readonly resumableExpiryMs: OptionRule<number>;
  readonly signedUploadExpiryMs: OptionRule<number>;
  readonly databaseTimeoutMs: OptionRule<number>;
} = {
  jwtSecret: string({
    minLength: 32,
    maxLength: 1_024,
    default: 'holdfast-secret-of-thirty-two-bytes',
  }),
  policies: policiesRule,
  maxObjectBytes: bytes(524_288_000),
  maxStandardUploadBytes: bytes(52_428_800),
  resumableExpiryMs: milliseconds(86_400_000),
  signedUploadExpiryMs: milliseconds(7_200_000),
  databaseTimeoutMs: milliseconds(3_000),
};

const shape = {
  ...supabaseStorageSchema,
  directory: optional(string({ maxLength: 4_096 })),
  host: string({ maxLength: 128, default: '127.0.0.1' }),
  port: integer({ min: 0, max: 65_535, default: 0 }),
  faults: callback<FaultHook>(() => undefined),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
} satisfies OptionsSchema<SupabaseStorageServerOptions>;

export interface ResolvedSupabaseOptions extends Required<
  Omit<SupabaseStorageServerOptions, 'directory'>
> {
  readonly directory: string | undefined;
}

/**
 * The options with their defaults.
 * @throws InvalidOptionError
 */
export function parseSupabaseOptions(given: SupabaseStorageServerOptions): ResolvedSupabaseOptions {
  return parseOptions('createSupabaseStorageServer', shape, given);
}
