import { readOptions } from '@holdfast/resilience/foundation';
import { type FaultRule, faultRulesRule } from '../s3/fault-rules.ts';
import { type SupabaseDisturbances, disturbanceShape } from './disturbances.ts';
import { type SupabaseStorageServerOptions, storageShape } from './options.ts';

/** What is wrong with a Supabase of the stage. */
export interface SupabaseStageDisturbances extends SupabaseDisturbances {
  /** Struck at single requests. Default none. */
  faults?: readonly FaultRule[];
}

/** A Supabase of the stage. */
export interface SupabaseStageOptions
  extends
    SupabaseStageDisturbances,
    Omit<SupabaseStorageServerOptions, 'clock' | 'directory' | 'faults' | 'host' | 'port'> {}

const shape = { ...storageShape, ...disturbanceShape, faults: faultRulesRule };

/** What the program of the Supabase is started with. */
export type SupabaseSettings = Required<SupabaseStageOptions>;

/** @throws InvalidOptionError */
export function readSupabaseSettings(
  owner: string,
  given: unknown,
  field?: string,
): SupabaseSettings {
  return readOptions(owner, shape, given, field);
}

/** @throws InvalidOptionError */
export function readStageDisturbances(
  owner: string,
  given: unknown,
): Required<SupabaseStageDisturbances> {
  return readOptions(owner, { ...disturbanceShape, faults: faultRulesRule }, given);
}
