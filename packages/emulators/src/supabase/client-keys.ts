import { signToken } from './jwt.ts';

/** The secret of a Supabase and the keys of its clients. */
export interface SupabaseKeys {
  readonly jwtSecret: string;
  /** The key of the role that bypasses row level security. */
  readonly serviceRoleKey: string;
  /** The key of anonymous clients. */
  readonly anonKey: string;
}

/** The keys of a Supabase with this secret. */
export function supabaseKeys(jwtSecret: string): SupabaseKeys {
  const keyOf = (role: string): string => signToken({ role, iss: 'holdfast' }, jwtSecret);
  return { jwtSecret, serviceRoleKey: keyOf('service_role'), anonKey: keyOf('anon') };
}
