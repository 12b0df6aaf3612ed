import type { Redis } from 'ioredis';
import { BackendError } from '../errors.ts';
import { isForbidden } from './errors.ts';

/** What the scripts rely on: reply codes of failures inside scripts, and what XAUTOCLAIM answers. */
const OLDEST_MAJOR = 7;

/** @throws BackendError (`unsupported`) for a server that cannot do what the scripts need. */
export async function refuseOldServer(client: Redis): Promise<void> {
  const printed = await client.info('server').catch((error: unknown) => {
    // Whoever forbids INFO says which server it is by that: one with access lists, so not an old one.
    if (isForbidden(error)) return '';
    throw error;
  });
  const version = /^redis_version:(\S+)/mu.exec(printed)?.[1];
  if (version === undefined || Number.parseInt(version, 10) >= OLDEST_MAJOR) return;
  throw new BackendError(
    'unsupported',
    `Redis ${version} is too old: the queue needs ${OLDEST_MAJOR}.0 or newer, or Valkey`,
  );
}
