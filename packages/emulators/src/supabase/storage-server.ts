import { requireNode } from '@holdfast/foundation';
import { type HttpListener, listen } from '../serving/http-listener.ts';
import type { SupabaseFaults } from './faults.ts';
import { type SupabaseStorageStats, openSupabaseHandler } from './handler.ts';
import { signToken } from './jwt.ts';
import { type SupabaseKeys, supabaseKeys } from './client-keys.ts';
import { type SupabaseStorageServerOptions, parseSupabaseOptions } from './options.ts';

/** A Supabase Storage server in this process. Its `url` is the argument of `createClient`. */
export interface SupabaseStorageServer extends SupabaseKeys, HttpListener {
  /** Signs a token with the server's secret, such as `{ role: 'authenticated', sub, exp }`. */
  signToken(claims: Readonly<Record<string, unknown>>): string;
  /** Replaces the faults. A field that is absent gets the value it had when the server was created. */
  setFaults(faults: SupabaseFaults): void;
  getStats(): SupabaseStorageStats;
}

/**
 * Starts a Supabase Storage server in this process, for tests. The API is served below `/storage/v1` and at the
 * root, with the statuses, codes and quirks that were measured on the real server.
 * @throws InvalidOptionError; the system's own error when it cannot listen.
 */
export async function createSupabaseStorageServer(
  options: SupabaseStorageServerOptions = {},
): Promise<SupabaseStorageServer> {
  requireNode('createSupabaseStorageServer');
  const resolved = parseSupabaseOptions(options);
  const { jwtSecret } = resolved;
  const handler = await openSupabaseHandler(resolved, () => undefined);
  return {
    ...(await listen(handler, resolved)),
    ...supabaseKeys(jwtSecret),
    signToken: (claims) => signToken(claims, jwtSecret),
    setFaults: (faults) => handler.setFaults(faults),
    getStats: () => handler.getStats(),
  };
}
