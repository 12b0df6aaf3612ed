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

export interface SupabaseStorageServerOptions {
  /** Signs and verifies its tokens by HS256; 32 characters at least. Default one of its own. */
  jwtSecret?: string;
  /** Who may do what. Default: the service role everything, others nothing but reading public buckets. */
  policies?: readonly StoragePolicy[];
  /** Where everything is kept over a restart; made if need be. Default: in memory. */
  directory?: string;
  /** Default 127.0.0.1. */
  host?: string;
  /** Default: any free one. */
  port?: number;
  /** The largest object of all, which only a resumable upload can bring. Default 524 288 000. */
  maxObjectBytes?: number;
  /** The largest object of one ordinary request. Default 52 428 800. */
  maxStandardUploadBytes?: number;
  /** How long a resumable upload may be resumed. Default a day. */
  resumableExpiryMs?: number;
  /** How long a signed address for an upload is good. Default two hours. */
  signedUploadExpiryMs?: number;
  /** How long a frozen database is waited for. Default 3 000. */
  databaseTimeoutMs?: number;
  /** Asked for each request before anything is done. */
  faults?: FaultHook;
  clock?: Clock;
}

const LONGEST_MS = 31_536_000_000;
const milliseconds = (fallback: number): OptionRule<number> =>
  integer({ min: 0, max: LONGEST_MS, default: fallback });
const bytes = (fallback: number): OptionRule<number> =>
  integer({ min: 1, max: Number.MAX_SAFE_INTEGER, default: fallback });

/** How the options are read that say what the server is, and not where. */
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

/** @throws InvalidOptionError */
export function parseSupabaseOptions(given: SupabaseStorageServerOptions): ResolvedSupabaseOptions {
  return parseOptions('createSupabaseStorageServer', shape, given);
}
