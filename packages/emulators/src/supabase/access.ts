import {
  InvalidOptionError,
  type OptionRule,
  object,
  oneOf,
  optional,
  string,
} from '@holdfast/foundation';
import { type SupabaseErrorReason, supabaseError } from './error.ts';

export const ROLES = ['anon', 'authenticated', 'service_role'] as const;
export type StorageRole = (typeof ROLES)[number];

/** What is done to rows of objects or buckets, as row level security has it. */
const ROW_ACTIONS = ['select', 'insert', 'update', 'delete'] as const;
export type RowAction = (typeof ROW_ACTIONS)[number];

/** What a role may or may not do. Without one, the service role may do everything and the others nothing. */
export interface StoragePolicy {
  /** `deny` outweighs every `allow` and binds the service role too, as a revoked grant does. Default allow. */
  readonly effect?: 'allow' | 'deny';
  /** Default: each of them. */
  readonly role?: StorageRole;
  /** Default: every bucket. */
  readonly bucket?: string;
  /** Default: every key. */
  readonly keyPrefix?: string;
  readonly actions: readonly RowAction[];
}

/** A verdict on one row. */
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
 * What a verdict comes to: a row that is hidden is as good as absent to who reads it, and may not be written.
 * @throws SupabaseError
 */
export function assertAllowed(
  verdict: RowDecision,
  action: RowAction,
  absent: SupabaseErrorReason,
): void {
  if (verdict === 'allowed') return;
  if (verdict === 'revoked')
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

/** How policies are read. */
export const policiesRule: OptionRule<readonly StoragePolicy[]> = {
  ...listOf<StoragePolicy>({
    permitted: 'a policy',
    parse(value, field, owner) {
      const { role, bucket, keyPrefix, ...rest } = object(policyShape).parse(value, field, owner);
      return {
        ...rest,
        ...(role !== undefined && { role }),
        ...(bucket !== undefined && { bucket }),
        ...(keyPrefix !== undefined && { keyPrefix }),
      };
    },
  }),
  defaultValue: () => [],
};

function listOf<T>(item: OptionRule<T>): OptionRule<readonly T[]> {
  return {
    permitted: `an array, each of it ${item.permitted}`,
    parse(value, field, owner) {
      if (!Array.isArray(value)) throw new InvalidOptionError(owner, field, value, this.permitted);
      return value.map((each: unknown, at) => item.parse(each, `${field}[${at}]`, owner));
    },
  };
}
