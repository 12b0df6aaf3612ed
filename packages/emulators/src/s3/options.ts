import {
  type Clock,
  type OptionRule,
  type OptionsSchema,
  callback,
  objectWith,
  integer,
  object,
  optional,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import { listOf } from '../options/list-rule.ts';
import type { FaultHook } from '../serving/call-faults.ts';
import { type S3Quirks, quirksRule } from './quirks.ts';

/** Options of `createS3Server`. */
export interface S3ServerOptions {
  /** Default `holdfast`. */
  accessKeyId?: string;
  /** Default `holdfast-secret`. */
  secretAccessKey?: string;
  /** More accounts. Each may do only what a bucket's policy allows it. */
  accounts?: readonly {
    /** The name of its key. */
    readonly accessKeyId: string;
    /** The key that its requests are signed with. */
    readonly secretAccessKey: string;
  }[];
  /** Stores all data, which then survives a restart; created when missing. Default: in memory. */
  directory?: string;
  /** Default 127.0.0.1. */
  host?: string;
  /** Default: any free port. */
  port?: number;
  /** A larger object is rejected as EntityTooLarge. Default 5 GiB. */
  maxObjectBytes?: number;
  /** Limit of all objects and parts together, then InsufficientStorage. Default 1 TiB, in memory 1 GiB. */
  maxStoredBytes?: number;
  /** The smallest part, except for the last. Default 5 MiB, as in S3. */
  minPartBytes?: number;
  /** How the server differs from S3. Default: not at all. */
  quirks?: S3Quirks;
  /** Called for each request before it is handled. */
  faults?: FaultHook;
  /** The clock of object times, signatures, delays and the Date header. */
  clock?: Clock;
}

const GIB = 1_073_741_824;
const name = (fallback?: string): OptionRule<string> =>
  string({ maxLength: 128, ...(fallback !== undefined && { default: fallback }) });

const bytes = (fallback?: number): OptionRule<number> =>
  integer({
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    ...(fallback !== undefined && { default: fallback }),
  });

const accountsRule = listOf(object({ accessKeyId: name(), secretAccessKey: name() }));

/** The options that describe the storage; those that say where it listens are below. */
export const s3StorageSchema: {
  readonly accessKeyId: OptionRule<string>;
  readonly secretAccessKey: OptionRule<string>;
  readonly accounts: OptionRule<readonly { accessKeyId: string; secretAccessKey: string }[]>;
  readonly maxObjectBytes: OptionRule<number>;
  readonly maxStoredBytes: OptionRule<number | undefined>;
  readonly minPartBytes: OptionRule<number>;
} = {
  accessKeyId: name('holdfast'),
  secretAccessKey: name('holdfast-secret'),
  accounts: accountsRule,
  maxObjectBytes: bytes(5 * GIB),
  maxStoredBytes: optional(bytes()),
  minPartBytes: bytes(5_242_880),
};

const shape = {
  ...s3StorageSchema,
  directory: optional(string({ maxLength: 4_096 })),
  host: name('127.0.0.1'),
  port: integer({ min: 0, max: 65_535, default: 0 }),
  quirks: quirksRule,
  faults: callback<FaultHook>(() => undefined),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
} satisfies OptionsSchema<S3ServerOptions>;

export interface ResolvedS3ServerOptions extends Required<
  Omit<S3ServerOptions, 'directory' | 'quirks'>
> {
  readonly directory: string | undefined;
  readonly quirks: Required<S3Quirks>;
}

/**
 * The options with their defaults.
 * @throws InvalidOptionError
 */
export function parseS3ServerOptions(given: S3ServerOptions): ResolvedS3ServerOptions {
  const options = parseOptions('createS3Server', shape, given);
  const fallback = options.directory === undefined ? GIB : 1_024 * GIB;
  return { ...options, maxStoredBytes: options.maxStoredBytes ?? fallback };
}
