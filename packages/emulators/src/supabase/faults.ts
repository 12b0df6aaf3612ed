import { type OptionRule, boolean, oneOf, parseOptions } from '@holdfast/foundation';
import { type StoragePolicy, policiesRule } from './access.ts';

/** The faults of a Supabase Storage server, which can be changed while it runs. */
export interface SupabaseFaults {
  /** Replaces all policies. Default: the service role may do everything, the others nothing. */
  policies?: readonly StoragePolicy[];
  /** Rejects writes as the real server does: HTTP 400 with 503 DatabaseReadOnly in the body. */
  readOnly?: boolean;
  /**
   * `racing`: a create does not see what another created within a second, as on servers before September 2026;
   * the last one stays. Default `exclusive`.
   */
  creates?: 'exclusive' | 'racing';
  /** `frozen`: 544 DatabaseTimeout, after `databaseTimeoutMs`. `down`: 500 InternalError. Default `up`. */
  database?: 'up' | 'frozen' | 'down';
}

/** The rules of these options. */
export const supabaseFaultsSchema: {
  readonly policies: OptionRule<readonly StoragePolicy[]>;
  readonly readOnly: OptionRule<boolean>;
  readonly creates: OptionRule<'exclusive' | 'racing'>;
  readonly database: OptionRule<'up' | 'frozen' | 'down'>;
} = {
  policies: policiesRule,
  readOnly: boolean(false),
  creates: oneOf(['exclusive', 'racing'], 'exclusive'),
  database: oneOf(['up', 'frozen', 'down'], 'up'),
};

export type ResolvedSupabaseFaults = Required<SupabaseFaults>;

/** @throws InvalidOptionError */
export function parseSupabaseFaults(owner: string, given: unknown): ResolvedSupabaseFaults {
  return parseOptions(owner, supabaseFaultsSchema, given);
}
