import { chmod, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { removeSegment } from '../../system/shared-memory.ts';
import { createTempDirectory } from '../../watchdog/temp-directory.ts';
import type { Address, Executable, ServerSpec, StageContext } from '../../topology/server-spec.ts';
import type { ServerDriver } from '../../handle/server.ts';
import { type LocalClock, createLocalClock } from './clock.ts';
import { createBallast, mountDisk, unmount } from '../../limits/disk.ts';
import { truncateToNewest, readNewest } from './log-file.ts';
import { createLocalMemory } from './memory.ts';
import { createNetworkNamespace } from './network-namespace.ts';
import { launchProcess } from './process.ts';

/** Provides for one server as a process of this machine, in a folder of its own that goes with it. */
export async function createLocalDriver(
  kind: ServerSpec,
  address: Address,
  program: Executable,
  context: StageContext,
  limit: AbortSignal,
): Promise<ServerDriver> {
  const { clock, watchdog, logMaxBytes, diskMaxBytes } = context;
  const { parentDirectory = tmpdir(), sharedMemoryFile } = kind.local;
  const own = await createTempDirectory(join(parentDirectory, 'holdfast-stage-'), watchdog);
  const home = own.path;
  const releases: (() => void)[] = [];
  // Its own user must find the way to what it owns in there.
  if (program.user !== undefined) await chmod(home, 0o711);
  // What it prints is kept beside its disk, which may be full.
  const directory = diskMaxBytes === undefined ? home : join(home, 'disk');
  if (diskMaxBytes !== undefined) {
    await mkdir(directory);
    releases.push(watchdog.guard({ type: 'mount', path: directory }));
    await mountDisk(kind.name, directory, diskMaxBytes);
  }
  const memory = createLocalMemory(kind.name, randomUUID(), watchdog);
  const pidFile = sharedMemoryFile === undefined ? undefined : join(directory, sharedMemoryFile);
  if (pidFile !== undefined) releases.push(watchdog.guard({ type: 'segment', pidFile }));
  const log = join(home, 'server.log');
  const args = await kind.local.prepare(directory, address);
  const wallClock: LocalClock | undefined = context.serverClocks
    ? await createLocalClock(kind.name, program.file, home)
    : undefined;
  const env = { ...program.env, ...wallClock?.clock.environment };
  // Who is one of several shares the machine's, where all know the same addresses: as in containers.
  const standsAlone = kind.container?.port !== undefined;
  const network =
    context.serverNetworks && standsAlone
      ? await createNetworkNamespace(kind.name, address, limit)
      : undefined;
  const { stopSignal = 'SIGTERM' } = kind;
  let isComplete = false;
  return {
    async launch() {
      await truncateToNewest(log, logMaxBytes);
      const direct = { program: { ...program, env }, args };
      const life = await launchProcess({
        ...(network?.enter(direct.program, args) ?? direct),
        directory,
        log,
        stopSignal,
        clock,
        watchdog,
        onPid: (pid) => {
          wallClock?.launched(pid);
          return memory.launched(pid);
        },
      });
      if (!isComplete) kind.local.afterFirstLaunch?.(directory);
      isComplete = true;
      return life;
    },
    clock: wallClock,
    memory: process.platform === 'linux' ? memory : undefined,
    network,
    packets: network?.packets,
    disk: diskMaxBytes === undefined ? undefined : createBallast(directory),
    probe: (patience) => kind.probe(address, patience),
    log: async () => (await readNewest(log, logMaxBytes)).toString('utf8'),
    async cleanUp() {
      if (pidFile !== undefined) await removeSegment(pidFile);
      await memory.cleanUp();
      await wallClock?.clock.close();
      await network?.cleanUp();
      if (diskMaxBytes !== undefined) await unmount(directory);
      await own.remove();
      for (const release of releases) release();
    },
  };
}
