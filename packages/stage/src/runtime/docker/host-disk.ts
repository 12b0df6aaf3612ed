import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FaultUnsupportedError } from '../../errors.ts';
import { createBallast, mountDisk, unmount } from '../../limits/disk.ts';
import type { DiskControl } from '../../limits/server-limits.ts';
import type { ContainerSpec } from '../../topology/server-spec.ts';
import { createTempDirectory } from '../../watchdog/temp-directory.ts';
import type { Watchdog } from '../../watchdog/watchdog.ts';

/** A disk of this machine, mounted at a container's data folder; it outlives the container. */
interface HostDisk {
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
    const remedy = `Leave out 'diskMaxBytes', or open a separate stage for it`;
    const reason = 'its container has no folder for data';
    throw new FaultUnsupportedError(server, 'give it a disk of its own', reason, remedy);
  }
  const directory = await createTempDirectory(join(tmpdir(), 'holdfast-disk-'), watchdog);
  const source = directory.path;
  const release = watchdog.guard({ kind: 'mount', path: source });
  await mountDisk(server, source, maxBytes);
  // The user of the server in its container has no name on this machine.
  await chmod(source, 0o1777);
  return {
    mount: { source, target: data },
    disk: createBallast(source),
    async cleanUp() {
      await unmount(source);
      release();
      await directory.remove();
    },
  };
}
