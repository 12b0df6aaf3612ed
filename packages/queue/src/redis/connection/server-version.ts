import type { IoredisClient } from '../connector.ts';
import { BackendError } from '../../errors.ts';
import { isForbidden } from '../errors.ts';

interface ServerVersion {
  readonly major: number;
  readonly minor: number;
}

/** The scripts need it: for the error codes inside scripts, and for the reply of XAUTOCLAIM. */
const FOR_SCRIPTS: ServerVersion = { major: 7, minor: 0 };
/** The first version with WAITAOF. */
const FOR_DISKS: ServerVersion = { major: 7, minor: 2 };

/** The oldest server version that supports the options. */
export function oldestServer({ onDisk }: { onDisk: boolean }): ServerVersion {
  return onDisk ? FOR_DISKS : FOR_SCRIPTS;
}

/** The `server` section of INFO; empty when this user may not read it. */
export async function describeServer(client: IoredisClient): Promise<string> {
  try {
    return String(await client.call('INFO', 'server'));
  } catch (error) {
    // A server with access lists is not an old one.
    if (isForbidden(error)) return '';
    throw error;
  }
}

/**
 * @param info the `server` section of INFO.
 * @throws BackendError (`unsupported`) when the server is older than `oldest`.
 */
export function assertServerVersion(info: string, oldest: ServerVersion): void {
  const [, version, major, minor] = /^redis_version:((\d+)\.(\d+)\S*)/mu.exec(info) ?? [];
  if (version === undefined) return;
  const isNewer = Number(major) > oldest.major;
  if (isNewer || (Number(major) === oldest.major && Number(minor) >= oldest.minor)) return;
  throw new BackendError(
    'unsupported',
    `Redis ${version} is too old: these options need ${oldest.major}.${oldest.minor} or newer`,
  );
}
