import {
  type Clock,
  InvalidOptionError,
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
import type { FaultHook } from '../serving/call-faults.ts';

export interface S3ServerOptions {
  /** Default `holdfast`. */
  accessKeyId?: string;
  /** Default `holdfast-secret`. */
  secretAccessKey?: string;
  /** Further accounts, which may do only what a bucket's policy allows them. */
  accounts?: readonly { readonly accessKeyId: string; readonly secretAccessKey: string }[];
  /** Where everything is kept over a restart; made if need be. Default: in memory. */
  directory?: string;
  /** Default 127.0.0.1. */
  host?: string;
  /** Default: any free one. */
  port?: number;
  /** The largest object; one that is larger is EntityTooLarge. Default 5 GiB. */
  maxObjectBytes?: number;
  /** All objects and parts together; beyond it, InsufficientStorage. Default 1 TiB, in memory 1 GiB. */
  maxStoredBytes?: number;
  /** The smallest part but for the last. Default 5 MiB, as S3 has it. */
  minPartBytes?: number;
  /** Asked for each request before anything is done. */
  faults?: FaultHook;
  /** Tells the server's time: of objects, of signatures, of the Date header. */
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

const accountShape = { accessKeyId: name(), secretAccessKey: name() };

const accountsRule: OptionRule<readonly { accessKeyId: string; secretAccessKey: string }[]> = {
  permitted: 'an array of { accessKeyId, secretAccessKey }',
  parse(value, field, owner) {
    if (!Array.isArray(value)) throw new InvalidOptionError(owner, field, value, this.permitted);
    return value.map((account: unknown, at) =>
      object(accountShape).parse(account, `${field}[${at}]`, owner),
    );
  },
  defaultValue: () => [],
};

/** How the options are read that say what the server is, and not where. */
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
  faults: callback<FaultHook>(() => undefined),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
} satisfies OptionsSchema<S3ServerOptions>;

export interface ResolvedS3ServerOptions {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly accounts: readonly { accessKeyId: string; secretAccessKey: string }[];
  readonly directory: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly maxObjectBytes: number;
  readonly maxStoredBytes: number;
  readonly minPartBytes: number;
  readonly faults: FaultHook;
  readonly clock: Clock;
}

/** @throws InvalidOptionError */
export function parseS3ServerOptions(given: S3ServerOptions): ResolvedS3ServerOptions {
  const { maxStoredBytes, ...settled } = parseOptions('createS3Server', shape, given);
  const fallback = settled.directory === undefined ? GIB : 1_024 * GIB;
  return { ...settled, maxStoredBytes: maxStoredBytes ?? fallback };
}
