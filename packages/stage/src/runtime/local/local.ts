import { randomUUID } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ServerDriver } from '../../handle/driver.ts';
import { createBallast, mountDisk, unmount } from '../../limits/disk.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Executable } from '../../system/executable.ts';
import { assertReachable, inFolder } from '../../system/folders.ts';
import { removeSegment } from '../../system/shared-memory.ts';
import type { ServerSpec } from '../../topology/server-spec.ts';
import type { StageContext } from '../../topology/stage-context.ts';
import { type TempDirectory, createTempDirectory } from '../../watchdog/temp-directory.ts';
import { createLocalClock } from './clock.ts';
import { readNewest, truncateToNewest } from './log-file.ts';
import { createLocalMemory } from './memory.ts';
import { createNetworkNamespace } from './network-namespace.ts';
import { launchProcess } from './process.ts';

interface LocalServer {
  readonly spec: ServerSpec;
  readonly endpoint: Endpoint;
  readonly executable: Executable;
  readonly context: StageContext;
}

/** Runs one server as a process of this machine, in a folder that is removed with it. */
export async function createLocalDriver(
  { spec, endpoint, executable, context }: LocalServer,
  signal: AbortSignal,
): Promise<ServerDriver> {
  const { clock, watchdog, logMaxBytes } = context;
  const { stopSignal = 'SIGTERM' } = spec;
  const folder = await createServerFolder(spec, executable, context);
  const { home, directory } = folder;
  const memory = createLocalMemory(spec.name, randomUUID(), watchdog);
  const log = join(home.path, 'server.log');
  const args = await inFolder(dirname(home.path), 'TMPDIR', () =>
    spec.local.prepare(directory, endpoint),
  );
  const wallClock = context.serverClocks
    ? await createLocalClock(spec.name, executable.file, home.path)
    : undefined;
  const withClock = {
    ...executable,
    env: { ...executable.env, ...wallClock?.clock.environment },
  };
  // Members of a topology share the machine's network, as their containers do: all use the same endpoints.
  const isStandalone = spec.container?.port !== undefined;
  const network =
    context.serverNetworks && isStandalone
      ? await createNetworkNamespace(spec.name, endpoint, signal)
      : undefined;
  let isPrepared = false;
  return {
    async launch() {
      await truncateToNewest(log, logMaxBytes);
      const instance = await launchProcess({
        ...(network?.enter(withClock, args) ?? { executable: withClock, args }),
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
      if (!isPrepared) spec.local.afterFirstLaunch?.(directory);
      isPrepared = true;
      return instance;
    },
    clock: wallClock,
    memory: process.platform === 'linux' ? memory : undefined,
    network,
    packets: network?.packets,
    disk: context.diskMaxBytes === undefined ? undefined : createBallast(directory),
    probe: (limit) => spec.probe(endpoint, limit),
    log: async () => (await readNewest(log, logMaxBytes)).toString('utf8'),
    async cleanUp() {
      await folder.removeSharedMemory();
      await memory.cleanUp();
      await wallClock?.clock.close();
      await network?.cleanUp();
      await folder.remove();
    },
  };
}

interface ServerFolder {
  readonly home: TempDirectory;
  /** Where the server keeps its data: `home`, or a disk mounted below it. */
  readonly directory: string;
  removeSharedMemory(): Promise<void>;
  remove(): Promise<void>;
}

async function createServerFolder(
  { name, local }: ServerSpec,
  { user }: Executable,
  { watchdog, diskMaxBytes }: StageContext,
): Promise<ServerFolder> {
  const { parentDirectory = tmpdir(), sharedMemoryFile } = local;
  const home = await createTempDirectory(join(parentDirectory, 'holdfast-stage-'), watchdog);
  const releases: (() => void)[] = [];
  // Another user has to reach its own files in this folder.
  if (user !== undefined) {
    await chmod(home.path, 0o711);
    await assertReachable(home.path, user);
  }
  // The log is kept outside of the disk, which may be full.
  const directory = diskMaxBytes === undefined ? home.path : join(home.path, 'disk');
  if (diskMaxBytes !== undefined) {
    await mkdir(directory);
    releases.push(watchdog.guard({ kind: 'mount', path: directory }));
    await mountDisk(name, directory, diskMaxBytes);
  }
  const pidFile = sharedMemoryFile === undefined ? undefined : join(directory, sharedMemoryFile);
  if (pidFile !== undefined) releases.push(watchdog.guard({ kind: 'segment', pidFile }));
  return {
    home,
    directory,
    async removeSharedMemory() {
      if (pidFile !== undefined) await removeSegment(pidFile);
    },
    async remove() {
      if (diskMaxBytes !== undefined) await unmount(directory);
      await home.remove();
      for (const release of releases) release();
    },
  };
}
