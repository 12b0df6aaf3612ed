import type { Environment } from './system/executable.ts';

/**
 * The images of all servers, each named only here; docker-compose.test.yml has the same names. An environment
 * variable replaces an image, by one of a mirror or one built by images/build.sh.
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

/** The image of a server. */
export function imageOf(server: keyof typeof images, env: Environment): string {
  return replacementOf(server, env) ?? images[server].pinned;
}

/** The image by which the environment replaces that of a server, if any. */
export function replacementOf(server: keyof typeof images, env: Environment): string | undefined {
  const replacement = env[images[server].variable];
  return replacement === undefined || replacement === '' ? undefined : replacement;
}

/** The variable that replaces an image; `undefined` for an image that is not listed. */
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
