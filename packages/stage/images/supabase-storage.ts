/**
 * Stands in for supabase/storage-api on a machine without a registry: our own Storage server, told what to be
 * by the variables of the real one. Like that it does not begin without its database.
 */
import { createServer } from 'node:http';
import {
  openSupabaseHandler,
  parseArguments,
  parseSupabaseOptions,
  serve,
} from '@holdfast/emulators/programs';
import { askPostgres } from '../src/servers/postgres/query.ts';

const PATIENCE_MS = 10_000;

const { env } = process;
const database = new URL(env['DATABASE_URL'] ?? '');
const reply = await askPostgres(
  { host: database.hostname, port: Number(database.port) },
  { sql: 'select 1' },
  AbortSignal.timeout(PATIENCE_MS),
);
if (reply.kind === 'error') throw new Error(`the database refuses: ${reply.text}`);

const handler = await openSupabaseHandler(
  parseSupabaseOptions({
    jwtSecret: env['AUTH_JWT_SECRET'] ?? '',
    directory: env['STORAGE_FILE_BACKEND_PATH'] ?? '',
    maxObjectBytes: Number(env['UPLOAD_FILE_SIZE_LIMIT']),
    maxStandardUploadBytes: Number(env['UPLOAD_FILE_SIZE_LIMIT_STANDARD']),
    signedUploadExpiryMs: Number(env['UPLOAD_SIGNED_URL_EXPIRATION_TIME'] ?? 7_200) * 1_000,
    resumableExpiryMs: Number(env['TUS_URL_EXPIRY_MS'] ?? 3_600_000),
  }),
  () => undefined,
);
const server = createServer((incoming, outgoing) => handler.serve(incoming, outgoing));
serve(
  'storage-api',
  server,
  parseArguments([env['SERVER_HOST'] ?? '0.0.0.0', env['SERVER_PORT'] ?? '5000']),
);
