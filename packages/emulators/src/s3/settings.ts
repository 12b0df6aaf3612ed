import { parseOptions } from '@holdfast/foundation';
import { type FaultRule, faultRulesRule } from '../serving/fault-rules.ts';
import { type S3ServerOptions, s3StorageSchema } from './options.ts';

/** An S3 of the stage. */
export interface S3StageOptions extends Pick<
  S3ServerOptions,
  | 'accessKeyId'
  | 'secretAccessKey'
  | 'accounts'
  | 'maxObjectBytes'
  | 'maxStoredBytes'
  | 'minPartBytes'
> {
  /** What is wrong with it from the beginning. Default nothing. */
  faults?: readonly FaultRule[];
}

const shape = { ...s3StorageSchema, faults: faultRulesRule };

/** What the program of the S3 server is started with. */
export interface S3Settings extends S3StageOptions {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly faults: readonly FaultRule[];
}

/** @throws InvalidOptionError */
export function parseS3Settings(owner: string, given: unknown, field?: string): S3Settings {
  const { maxStoredBytes, ...settled } = parseOptions(owner, shape, given, field);
  return maxStoredBytes === undefined ? settled : { ...settled, maxStoredBytes };
}
