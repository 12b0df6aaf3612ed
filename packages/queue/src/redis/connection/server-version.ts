import type { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
import { isForbidden } from '../errors.ts';

export interface ServerVersion {
  readonly major: number;
  readonly minor: number;
}

/** What the scripts rely on: reply codes of failures inside scripts, and what XAUTOCLAIM answers. */
const FOR_SCRIPTS: ServerVersion = { major: 7, minor: 0 };
/** WAITAOF. */
const FOR_DISKS: ServerVersion = { major: 7, minor: 2 };

/** The oldest server that can do what the options ask for. */
export function oldestServer({ onDisk }: { onDisk: boolean }): ServerVersion {
  return onDisk ? FOR_DISKS : FOR_SCRIPTS;
}

/** What the server says about itself; nothing where it may not be asked. */
export async function describeServer(client: Redis): Promise<string> {
  return client.info('server').catch((error: unknown) => {
    // Whoever forbids INFO says which server it is by that: one with access lists, so not an old one.
    if (isForbidden(error)) return '';
    throw error;
  });
}

/**
 * @param printed the server section of its INFO.
 * @throws BackendError (`unsupported`) for a server that is older than that.
 */
export function refuseOldServer(printed: string, oldest: ServerVersion): void {
  const [, version, major, minor] = /^redis_version:((\d+)\.(\d+)\S*)/mu.exec(printed) ?? [];
  if (version === undefined) return;
  const isNewer = Number(major) > oldest.major;
  if (isNewer || (Number(major) === oldest.major && Number(minor) >= oldest.minor)) return;
  throw new BackendError(
    'unsupported',
    `Redis ${version} is too old: what the queue was asked for needs ${oldest.major}.${oldest.minor} or newer`,
  );
}
