import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HoldfastError } from '@holdfast/foundation';
import type { SupabaseKeys } from './client-keys.ts';

/** Tables that are there from the beginning. */
export interface RestSettings {
  /** Statements of Postgres, as `create table public.todos (id serial primary key, title text)`. */
  readonly schema: string;
}

/** The part of a Supabase that answers below `/rest/v1`. */
interface Rest {
  /** Whether the request is for it; it is answered then. */
  handles(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
}

/** PostgREST was asked for, and the package that answers like it is not installed. */
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
/** Of no consequence; a Request needs one. */
const ORIGIN = 'http://supabase.stage';

/**
 * Looks for the package as Node would, folder by folder upwards, without loading it.
 * @throws SupabaseLiteNotFoundError
 */
export function assertLiteIsInstalled(from: URL = new URL(import.meta.url)): void {
  for (let folder = new URL('.', from); ; folder = new URL('..', folder)) {
    if (existsSync(new URL(`node_modules/${PACKAGE}/package.json`, folder))) return;
    if (folder.pathname === '/') throw new SupabaseLiteNotFoundError();
  }
}

/**
 * Opens the tables, and PostgREST before them, by @supabase/lite on SQLite.
 * @param file where the rows are kept; without one they are in memory.
 */
export async function openRest(
  { schema }: RestSettings,
  { jwtSecret, serviceRoleKey, anonKey }: SupabaseKeys,
  file: string | undefined,
): Promise<Rest> {
  // Read when the package is loaded: it tells its maker nothing.
  process.env['DO_NOT_TRACK'] = '1';
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

  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const response = await app.fetch(await requestOf(incoming));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(Buffer.from(await response.arrayBuffer()));
  };
  return {
    handles(incoming, outgoing) {
      if (incoming.url?.startsWith(`${PREFIX}/`) !== true) return false;
      // Who goes away before the answer is not missed.
      answer(incoming, outgoing).catch(() => void outgoing.destroy());
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
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of incoming) {
    if (!(piece instanceof Uint8Array)) continue;
    size += piece.length;
    if (size > MAX_BODY_BYTES) throw new RangeError(`a body of more than ${MAX_BODY_BYTES} bytes`);
    pieces.push(piece);
  }
  const hasBody = method !== 'GET' && method !== 'HEAD' && size > 0;
  return new Request(`${ORIGIN}${url}`, {
    method,
    headers,
    ...(hasBody && { body: new Uint8Array(Buffer.concat(pieces)) }),
  });
}
