import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StageCannotError } from '../../errors.ts';
import { ballastIn, mountDisk, unmount } from '../../limits/disk.ts';
import { makeOwnFolder } from '../../watchdog/temp-directory.ts';
import type { DiskControl } from '../../limits/server-limits.ts';
import type { Container } from '../../topology/server-spec.ts';
import type { Watchdog } from '../../watchdog/watchdog.ts';

/** A disk of this machine that a container finds at its data folder, so that it outlives the container. */
export interface HostDisk {
  readonly mount: { readonly source: string; readonly target: string };
  readonly disk: DiskControl;
  discard(): Promise<void>;
}

/** @throws StageCannotError */
export async function makeHostDisk(
  server: string,
  { data }: Container,
  maxBytes: number,
  watchdog: Watchdog,
): Promise<HostDisk> {
  if (data === undefined) {
    const wayOut = `Leave out 'diskMaxBytes', or open a stage of its own for it`;
    const why = 'its container keeps no data in a folder of their own';
    throw new StageCannotError(server, 'give it a disk of its own', why, wayOut);
  }
  const own = await makeOwnFolder(join(tmpdir(), 'holdfast-disk-'), watchdog);
  const source = own.path;
  const release = watchdog.guard({ type: 'mount', path: source });
  await mountDisk(server, source, maxBytes);
  // Whoever the server runs as in its container has no name here.
  await chmod(source, 0o1777);
  return {
    mount: { source, target: data },
    disk: ballastIn(source),
    async discard() {
      await unmount(source);
      release();
      await own.remove();
    },
  };
}
