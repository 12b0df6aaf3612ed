import type { Environment } from './topology/server-spec.ts';

/**
 * Every image a stage uses, by server, each named only here; docker-compose.test.yml bears the same names.
 * An environment variable replaces one, for a mirror or an image built by images/build.sh.
 */
const images = {
  redis: { variable: 'HOLDFAST_IMAGE_REDIS', pinned: 'redis:7.4.7-alpine' },
  'postgres-15': { variable: 'HOLDFAST_IMAGE_POSTGRES_15', pinned: 'postgres:15.15-bookworm' },
  'postgres-18': { variable: 'HOLDFAST_IMAGE_POSTGRES_18', pinned: 'postgres:18.1-bookworm' },
  node: { variable: 'HOLDFAST_IMAGE_NODE', pinned: 'node:24.21.0-bookworm' },
  s3: { variable: 'HOLDFAST_IMAGE_S3', pinned: 'rustfs/rustfs:1.0.0' },
  'supabase-storage': {
    variable: 'HOLDFAST_IMAGE_SUPABASE_STORAGE',
    pinned: 'supabase/storage-api:v1.74.0',
  },
} as const;

/** The image of a server under `env`. */
export function imageOf(server: keyof typeof images, env: Environment): string {
  return replacementOf(server, env) ?? images[server].pinned;
}

/** What the environment puts in place of a server's image; `undefined` when nothing. */
export function replacementOf(server: keyof typeof images, env: Environment): string | undefined {
  const replacement = env[images[server].variable];
  return replacement === undefined || replacement === '' ? undefined : replacement;
}

/** The variable that replaces an image; `undefined` for one that is none of those above. */
export function variableOf(image: string, env: Environment): string | undefined {
  const servers: (keyof typeof images)[] = [
    'redis',
    'postgres-15',
    'postgres-18',
    'node',
    's3',
    'supabase-storage',
  ];
  const server = servers.find((each) => imageOf(each, env) === image);
  return server === undefined ? undefined : images[server].variable;
}
