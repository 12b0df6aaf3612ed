import { signToken } from './jwt.ts';

/** What clients of a Supabase hold. */
export interface SupabaseKeys {
  readonly jwtSecret: string;
  /** Of the role that row level security does not bind. */
  readonly serviceRoleKey: string;
  /** Of who is nobody in particular. */
  readonly anonKey: string;
}

/** The keys that a Supabase with this secret takes. */
export function supabaseKeys(jwtSecret: string): SupabaseKeys {
  const keyOf = (role: string): string => signToken({ role, iss: 'holdfast' }, jwtSecret);
  return { jwtSecret, serviceRoleKey: keyOf('service_role'), anonKey: keyOf('anon') };
}
