import { type OptionRule, object, oneOf, optional, string } from '@holdfast/foundation';
import { listOf } from '../options/list-rule.ts';
import { withoutUndefined } from '../options/without-undefined.ts';
import { type SupabaseErrorReason, supabaseError } from './error.ts';

export const ROLES = ['anon', 'authenticated', 'service_role'] as const;
/** A role that a token names, to which policies apply. */
export type StorageRole = (typeof ROLES)[number];

/** The actions of row level security on the rows of objects and buckets. */
const ROW_ACTIONS = ['select', 'insert', 'update', 'delete'] as const;
export type RowAction = (typeof ROW_ACTIONS)[number];

/** A permission of a role. Without policies, the service role may do everything and the others nothing. */
export interface StoragePolicy {
  /** `deny` overrides every `allow`, also for the service role, like a revoked grant. Default allow. */
  readonly effect?: 'allow' | 'deny';
  /** Default: every role. */
  readonly role?: StorageRole;
  /** Default: every bucket. */
  readonly bucket?: string;
  /** Default: every key. */
  readonly keyPrefix?: string;
  readonly actions: readonly RowAction[];
}

/** Whether a role may do an action on a row. */
export type RowDecision = 'allowed' | 'hidden' | 'revoked';

export function decideRow(
  policies: readonly StoragePolicy[],
  role: StorageRole,
  action: RowAction,
  bucket: string,
  key: string,
): RowDecision {
  const fitting = policies.filter(
    (policy) =>
      (policy.role ?? role) === role &&
      (policy.bucket ?? bucket) === bucket &&
      key.startsWith(policy.keyPrefix ?? '') &&
      policy.actions.includes(action),
  );
  if (fitting.some(({ effect }) => effect === 'deny')) return 'revoked';
  return role === 'service_role' || fitting.length > 0 ? 'allowed' : 'hidden';
}

/**
 * Enforces a decision: a hidden row is reported as missing to a reader, and as denied to a writer.
 * @throws SupabaseError
 */
export function assertAllowed(
  decision: RowDecision,
  action: RowAction,
  absent: SupabaseErrorReason,
): void {
  if (decision === 'allowed') return;
  if (decision === 'revoked')
    throw supabaseError('AccessDenied', 'permission denied for table objects');
  if (action !== 'insert' && action !== 'update') throw supabaseError(absent);
  throw supabaseError('AccessDenied', 'new row violates row-level security policy');
}

const policyShape = {
  effect: oneOf(['allow', 'deny'], 'allow'),
  role: optional(oneOf(ROLES)),
  bucket: optional(string({ maxLength: 100 })),
  keyPrefix: optional(string({ maxLength: 1_024 })),
  actions: listOf(oneOf(ROW_ACTIONS)),
};

/** A list of policies. */
export const policiesRule: OptionRule<readonly StoragePolicy[]> = listOf({
  permitted: 'a policy',
  parse: (value, field, owner) => withoutUndefined(object(policyShape).parse(value, field, owner)),
});
