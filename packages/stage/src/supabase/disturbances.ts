import { type Shape, flag, oneOf, readOptions } from '@holdfast/resilience/foundation';
import { type StoragePolicy, policiesRule } from './access.ts';

/** What the world around the server is like; changed while it runs. */
export interface SupabaseDisturbances {
  /** Who may do what; replaces all policies. Default: the service role everything, others nothing. */
  policies?: readonly StoragePolicy[];
  /** Writes are refused: the real server answers HTTP 400 with 503 and DatabaseReadOnly inside. */
  readOnly?: boolean;
  /** `frozen`: 544 DatabaseTimeout, after `databaseTimeoutMs`. `down`: 500 InternalError. Default `up`. */
  database?: 'up' | 'frozen' | 'down';
}

const shape = {
  policies: policiesRule,
  readOnly: flag(false),
  database: oneOf(['up', 'frozen', 'down'], 'up'),
} satisfies Shape<SupabaseDisturbances>;

export type Disturbances = Required<SupabaseDisturbances>;

/** @throws InvalidOptionError */
export function readDisturbances(owner: string, given: unknown): Disturbances {
  return readOptions(owner, shape, given);
}
