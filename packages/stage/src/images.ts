import type { Environment } from './server-kind.ts';

/**
 * Every image a stage uses, by server, each named only here; docker-compose.test.yml bears the same names.
 * An environment variable replaces one, for a mirror or an image built by images/build.sh.
 */
const images = {
  redis: { variable: 'HOLDFAST_IMAGE_REDIS', pinned: 'redis:7.4.7-alpine' },
  node: { variable: 'HOLDFAST_IMAGE_NODE', pinned: 'node:24.21.0-bookworm' },
} as const;

/** The image of a server under `env`. */
export function imageOf(server: keyof typeof images, env: Environment): string {
  const { variable, pinned } = images[server];
  const replacement = env[variable];
  return replacement === undefined || replacement === '' ? pinned : replacement;
}
