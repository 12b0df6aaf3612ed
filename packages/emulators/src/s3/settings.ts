import { parseOptions } from '@holdfast/foundation';
import { withoutUndefined } from '../options/without-undefined.ts';
import { type FaultRule, faultRulesRule } from '../serving/fault-rules.ts';
import { type S3ServerOptions, s3StorageSchema } from './options.ts';

/** The options of an S3 server of the stage. */
export interface S3StageOptions extends Pick<
  S3ServerOptions,
  | 'accessKeyId'
  | 'secretAccessKey'
  | 'accounts'
  | 'maxObjectBytes'
  | 'maxStoredBytes'
  | 'minPartBytes'
> {
  /** Faults from the start. Default none. */
  faults?: readonly FaultRule[];
}

const shape = { ...s3StorageSchema, faults: faultRulesRule };

/** The settings of the S3 program. */
export interface S3Settings extends S3StageOptions {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly faults: readonly FaultRule[];
}

/**
 * The settings that can change while the server runs.
 * @throws InvalidOptionError
 */
export function parseS3Settings(owner: string, given: unknown, field?: string): S3Settings {
  return withoutUndefined(parseOptions(owner, shape, given, field));
}
