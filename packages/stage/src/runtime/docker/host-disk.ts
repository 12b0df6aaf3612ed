import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FaultUnsupportedError } from '../../errors.ts';
import { createBallast, mountDisk, unmount } from '../../limits/disk.ts';
import { createTempDirectory } from '../../watchdog/temp-directory.ts';
import type { DiskControl } from '../../limits/server-limits.ts';
import type { ContainerSpec } from '../../topology/server-spec.ts';
import type { Watchdog } from '../../watchdog/watchdog.ts';

/** A disk of this machine that a container finds at its data folder, so that it outlives the container. */
export interface HostDisk {
  readonly mount: { readonly source: string; readonly target: string };
  readonly disk: DiskControl;
  cleanUp(): Promise<void>;
}

/** @throws FaultUnsupportedError */
export async function createHostDisk(
  server: string,
  { data }: ContainerSpec,
  maxBytes: number,
  watchdog: Watchdog,
): Promise<HostDisk> {
  if (data === undefined) {
    const remedy = `Leave out 'diskMaxBytes', or open a stage of its own for it`;
    const reason = 'its container keeps no data in a folder of their own';
    throw new FaultUnsupportedError(server, 'give it a disk of its own', reason, remedy);
  }
  const own = await createTempDirectory(join(tmpdir(), 'holdfast-disk-'), watchdog);
  const source = own.path;
  const release = watchdog.guard({ type: 'mount', path: source });
  await mountDisk(server, source, maxBytes);
  // Whoever the server runs as in its container has no name here.
  await chmod(source, 0o1777);
  return {
    mount: { source, target: data },
    disk: createBallast(source),
    async cleanUp() {
      await unmount(source);
      release();
      await own.remove();
    },
  };
}
