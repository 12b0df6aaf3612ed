import type { SupabaseSettings } from '@holdfast/emulators/programs';
import { imageOf } from '../../images.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Environment } from '../../system/executable.ts';
import type { ServerSpec } from '../../topology/server-spec.ts';
import { probeHttp } from '../emulated/http-probe.ts';
import { databaseUrl } from '../postgres/node.ts';

/** Where its file backend keeps objects; it requires a file system with user attributes. */
const DATA = '/var/lib/storage';
const SECOND_MS = 1_000;

/** The real storage-api in the machine's network, with the Postgres at `database`. */
export function storageApi(
  endpoint: Endpoint,
  database: Endpoint,
  settings: SupabaseSettings,
  env: Environment,
): ServerSpec {
  return {
    name: 'supabase.storage',
    url: urlOf,
    async probe(at, signal) {
      await probeHttp(at, '/status', signal);
      return 'ready';
    },
    local: {
      prepare: () => Promise.reject(new TypeError('storage-api runs in containers only')),
    },
    container: {
      image: imageOf('supabase-storage', env),
      port: undefined,
      command: [],
      files: [],
      data: DATA,
      env: storageApiEnv(endpoint, database, settings),
    },
  };
}

export function urlOf({ host, port }: Endpoint): string {
  return `http://${host}:${port}`;
}

/** Its configuration as environment variables. */
export function storageApiEnv(
  { host, port }: Endpoint,
  database: Endpoint,
  settings: SupabaseSettings,
): Record<string, string> {
  return {
    SERVER_HOST: host,
    SERVER_PORT: String(port),
    SERVER_REGION: 'local',
    // In production it forces https into the URLs of resumable uploads.
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
