import { requireNode } from '@holdfast/foundation';
import { createServer } from 'node:http';
import { listenOn } from '../serving/http-listener.ts';
import type { SupabaseFaults } from './faults.ts';
import { type SupabaseStorageStats, openSupabaseHandler } from './handler.ts';
import { signToken } from './jwt.ts';
import { type SupabaseKeys, supabaseKeys } from './client-keys.ts';
import { type SupabaseStorageServerOptions, parseSupabaseOptions } from './options.ts';

/** A Supabase Storage of this process. */
export interface SupabaseStorageServer extends SupabaseKeys {
  /** What `createClient` takes; the API itself lies below `/storage/v1`, and at the root as well. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Signs a token with the server's secret, such as `{ role: 'authenticated', sub, exp }`. */
  signToken(claims: Readonly<Record<string, unknown>>): string;
  /** Changes what the world around the server is like; what is not named is as at the opening. */
  setFaults(disturbances: SupabaseFaults): void;
  getStats(): SupabaseStorageStats;
  /** Ends every connection and stops listening. Calling it again changes nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a Supabase Storage in this process, for tests: it answers as the real server was measured to,
 * with its statuses, codes and peculiarities.
 * @throws InvalidOptionError; the system's own error when it cannot listen.
 */
export async function createSupabaseStorageServer(
  options: SupabaseStorageServerOptions = {},
): Promise<SupabaseStorageServer> {
  requireNode('createSupabaseStorageServer');
  const settled = parseSupabaseOptions(options);
  const { jwtSecret } = settled;
  const handler = await openSupabaseHandler(settled, () => undefined);
  const server = createServer((message, response) => handler.serve(message, response));
  const listening = await listenOn(server, settled);
  const close = async (): Promise<void> => {
    await listening.close();
    handler.close();
  };
  return {
    host: listening.host,
    port: listening.port,
    url: listening.url,
    ...supabaseKeys(jwtSecret),
    signToken: (claims) => signToken(claims, jwtSecret),
    setFaults: (given) => handler.setFaults(given),
    getStats: () => handler.getStats(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
