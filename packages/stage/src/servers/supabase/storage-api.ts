import { imageOf } from '../../images.ts';
import { databaseUrl } from '../postgres/node.ts';
import { probeHttp } from '../emulated/http-probe.ts';
import type { Address, Environment, ServerSpec } from '../../topology/server-spec.ts';
import type { SupabaseSettings } from '@holdfast/emulators/programs';

/** Where its file backend keeps objects; it needs a file system with attributes of the user's own. */
const DATA = '/var/lib/storage';
const SECOND_MS = 1_000;

/** The real storage-api in the network of the machine, on a Postgres it finds at `database`. */
export function storageApi(
  { host, port }: Address,
  database: Address,
  settings: SupabaseSettings,
  env: Environment,
): ServerSpec {
  return {
    name: 'supabase.storage',
    url: (at) => `http://${at.host}:${at.port}`,
    async probe(at, signal) {
      await probeHttp(at, '/status', signal);
      return 'ready';
    },
    local: {
      prepare: () => Promise.reject(new TypeError('storage-api stands in containers only')),
    },
    container: {
      image: imageOf('supabase-storage', env),
      port: undefined,
      command: [],
      files: [],
      data: DATA,
      env: storageApiEnv({ host, port }, database, settings),
    },
  };
}

/** What the server is told, by the names of its own configuration. */
export function storageApiEnv(
  { host, port }: Address,
  database: Address,
  settings: SupabaseSettings,
): Record<string, string> {
  return {
    SERVER_HOST: host,
    SERVER_PORT: String(port),
    SERVER_REGION: 'local',
    // In production it forces https into the addresses of resumable uploads.
    NODE_ENV: 'development',
    TENANT_ID: 'stage',
    DATABASE_URL: databaseUrl(database, 'postgres'),
    DB_INSTALL_ROLES: 'true',
    AUTH_JWT_SECRET: settings.jwtSecret,
    AUTH_JWT_ALGORITHM: 'HS256',
    STORAGE_BACKEND: 'file',
    STORAGE_FILE_BACKEND_PATH: DATA,
    STORAGE_S3_BUCKET: 'stage',
    STORAGE_S3_REGION: 'local',
    UPLOAD_FILE_SIZE_LIMIT: String(settings.maxObjectBytes),
    UPLOAD_FILE_SIZE_LIMIT_STANDARD: String(settings.maxStandardUploadBytes),
    UPLOAD_SIGNED_URL_EXPIRATION_TIME: String(Math.ceil(settings.signedUploadExpiryMs / SECOND_MS)),
    TUS_URL_PATH: '/upload/resumable',
    TUS_URL_EXPIRY_MS: String(settings.resumableExpiryMs),
    REQUEST_ALLOW_X_FORWARDED_PATH: 'true',
    PG_QUEUE_ENABLE: 'false',
    IMAGE_TRANSFORMATION_ENABLED: 'false',
  };
}
