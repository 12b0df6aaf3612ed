import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HoldfastError, environment } from '@holdfast/foundation';
import { readBytes } from '../serving/body.ts';
import type { SupabaseKeys } from './client-keys.ts';

/** The tables of PostgREST. */
export interface RestSettings {
  /** Postgres statements, such as `create table public.todos (id serial primary key, title text)`. */
  readonly schema: string;
}

/** The part of a Supabase below `/rest/v1`. */
interface Rest {
  /** Handles a request below `/rest/v1`; returns false for every other request. */
  handles(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
}

/** `supabase.rest` is set, but the package that serves it is not installed. */
export class SupabaseLiteNotFoundError extends HoldfastError {
  readonly code = 'SUPABASE_LITE_NOT_FOUND';

  constructor() {
    super(
      `openStage: supabase.rest needs the optional peer @supabase/lite, which is not installed. ` +
        `Install it: 'npm install --save-dev @supabase/lite@0.10.0'`,
      { outcome: 'not-applied' },
    );
  }
}

const PACKAGE = '@supabase/lite';
const PREFIX = '/rest/v1';
const MAX_BODY_BYTES = 10_485_760;
/** A `Request` needs an origin; its value does not matter. */
const ORIGIN = 'http://supabase.stage';

/**
 * Looks for the package as Node does, directory by directory upwards, without loading it.
 * @throws SupabaseLiteNotFoundError
 */
export function assertLiteIsInstalled(from: URL = new URL(import.meta.url)): void {
  for (let folder = new URL('.', from); ; folder = new URL('..', folder)) {
    if (existsSync(new URL(`node_modules/${PACKAGE}/package.json`, folder))) return;
    if (folder.pathname === '/') throw new SupabaseLiteNotFoundError();
  }
}

/**
 * Creates the tables and a PostgREST for them, by @supabase/lite on SQLite.
 * @param file stores the rows; without one they are in memory.
 */
export async function openRest(
  { schema }: RestSettings,
  { jwtSecret, serviceRoleKey, anonKey }: SupabaseKeys,
  file: string | undefined,
): Promise<Rest> {
  // Read when the package is loaded: disables its telemetry.
  Object.assign(environment, { DO_NOT_TRACK: '1' });
  const [{ App }, { createConnection }] = await Promise.all([
    import('@supabase/lite'),
    import('@supabase/lite/sqlite'),
  ]);
  const connection = createConnection({ url: file ?? ':memory:', ddlDialect: 'postgres' });
  const app = new App({
    connection,
    auth: {
      enabled: true,
      jwt_secret: jwtSecret,
      publishable_key: anonKey,
      secret_key: serviceRoleKey,
    },
  });
  await app.init();
  await app.ensureSystemSchema();
  if (schema !== '') await connection.createMigrator(schema).migrate();

  const respond = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const response = await app.fetch(await requestOf(incoming));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(Buffer.from(await response.arrayBuffer()));
  };
  return {
    handles(incoming, outgoing) {
      if (incoming.url?.startsWith(`${PREFIX}/`) !== true) return false;
      // Rejects when the client disconnects.
      respond(incoming, outgoing).catch(() => void outgoing.destroy());
      return true;
    },
  };
}

async function requestOf(incoming: IncomingMessage): Promise<Request> {
  const { method = 'GET', url = '/' } = incoming;
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  const body = await readBytes(incoming, MAX_BODY_BYTES);
  const hasBody = method !== 'GET' && method !== 'HEAD' && body.length > 0;
  return new Request(`${ORIGIN}${url}`, {
    method,
    headers,
    ...(hasBody && { body: new Uint8Array(body) }),
  });
}
