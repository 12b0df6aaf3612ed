import { type OptionRule, boolean, oneOf, parseOptions } from '@holdfast/foundation';
import { type StoragePolicy, policiesRule } from './access.ts';

/** What the world around the server is like; changed while it runs. */
export interface SupabaseFaults {
  /** Who may do what; replaces all policies. Default: the service role everything, others nothing. */
  policies?: readonly StoragePolicy[];
  /** Writes are refused: the real server answers HTTP 400 with 503 and DatabaseReadOnly inside. */
  readOnly?: boolean;
  /** `frozen`: 544 DatabaseTimeout, after `databaseTimeoutMs`. `down`: 500 InternalError. Default `up`. */
  database?: 'up' | 'frozen' | 'down';
}

/** How each of them is read. */
export const supabaseFaultsSchema: {
  readonly policies: OptionRule<readonly StoragePolicy[]>;
  readonly readOnly: OptionRule<boolean>;
  readonly database: OptionRule<'up' | 'frozen' | 'down'>;
} = {
  policies: policiesRule,
  readOnly: boolean(false),
  database: oneOf(['up', 'frozen', 'down'], 'up'),
};

export type ResolvedSupabaseFaults = Required<SupabaseFaults>;

/** @throws InvalidOptionError */
export function parseSupabaseFaults(owner: string, given: unknown): ResolvedSupabaseFaults {
  return parseOptions(owner, supabaseFaultsSchema, given);
}
