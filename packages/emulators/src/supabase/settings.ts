import { type OptionRule, optional, parseOptions, string } from '@holdfast/foundation';
import { type FaultRule, faultRulesRule } from '../serving/fault-rules.ts';
import { type SupabaseFaults, supabaseFaultsSchema } from './faults.ts';
import { type SupabaseStorageServerOptions, supabaseStorageSchema } from './options.ts';
import type { RestSettings } from './rest.ts';

/** What is wrong with a Supabase of the stage. */
export interface SupabaseStageFaults extends SupabaseFaults {
  /** Struck at single requests. Default none. */
  faults?: readonly FaultRule[];
}

/** A Supabase of the stage. */
export interface SupabaseStageOptions
  extends
    SupabaseStageFaults,
    Omit<SupabaseStorageServerOptions, 'clock' | 'directory' | 'faults' | 'host' | 'port'> {
  /** PostgREST below `/rest/v1`, by the optional peer @supabase/lite on SQLite. Default absent. */
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

/** What the program of the Supabase is started with. */
export interface SupabaseSettings extends Required<Omit<SupabaseStageOptions, 'rest'>> {
  readonly rest?: RestSettings;
}

/** @throws InvalidOptionError */
export function parseSupabaseSettings(
  owner: string,
  given: unknown,
  field?: string,
): SupabaseSettings {
  const { rest, ...settled } = parseOptions(owner, shape, given, field);
  return rest === undefined ? settled : { ...settled, rest };
}

/** @throws InvalidOptionError */
export function parseStageFaults(owner: string, given: unknown): Required<SupabaseStageFaults> {
  return parseOptions(owner, { ...supabaseFaultsSchema, faults: faultRulesRule }, given);
}
