import { type OptionRule, optional, parseOptions, string } from '@holdfast/foundation';
import { withoutUndefined } from '../options/without-undefined.ts';
import { type FaultRule, faultRulesRule } from '../serving/fault-rules.ts';
import { type SupabaseFaults, supabaseFaultsSchema } from './faults.ts';
import { type SupabaseStorageServerOptions, supabaseStorageSchema } from './options.ts';
import type { RestSettings } from './rest.ts';

/** The faults of a Supabase of the stage. */
export interface SupabaseStageFaults extends SupabaseFaults {
  /** Faults of single requests. Default none. */
  faults?: readonly FaultRule[];
}

/** The options of a Supabase of the stage. */
export interface SupabaseStageOptions
  extends
    SupabaseStageFaults,
    Omit<SupabaseStorageServerOptions, 'clock' | 'directory' | 'faults' | 'host' | 'port'> {
  /** Serves PostgREST below `/rest/v1`, by the optional peer @supabase/lite on SQLite. Default: not served. */
  rest?: true | Partial<RestSettings>;
}

const restShape = { schema: string({ minLength: 0, maxLength: 1_048_576, default: '' }) };

const restRule: OptionRule<RestSettings | undefined> = optional({
  permitted: 'true or an object',
  parse: (value, field, owner) =>
    parseOptions(owner, restShape, value === true ? {} : value, field),
});

const shape = {
  ...supabaseStorageSchema,
  ...supabaseFaultsSchema,
  faults: faultRulesRule,
  rest: restRule,
};

/** The settings of the Supabase program. */
export interface SupabaseSettings extends Required<Omit<SupabaseStageOptions, 'rest'>> {
  readonly rest?: RestSettings;
}

/**
 * The settings that can change while the server runs.
 * @throws InvalidOptionError
 */
export function parseSupabaseSettings(
  owner: string,
  given: unknown,
  field?: string,
): SupabaseSettings {
  return withoutUndefined(parseOptions(owner, shape, given, field));
}

/**
 * The faults of a Supabase on a stage.
 * @throws InvalidOptionError
 */
export function parseStageFaults(owner: string, given: unknown): Required<SupabaseStageFaults> {
  return parseOptions(owner, { ...supabaseFaultsSchema, faults: faultRulesRule }, given);
}
