import { chmod, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { removeSegment } from '../postgres/shared-memory.ts';
import { makeOwnFolder } from '../own-folder.ts';
import type { Address, Program, ServerKind, StageContext } from '../server-kind.ts';
import type { ServerDriver } from '../server.ts';
import { ballastIn, mountDisk, unmount } from './disk.ts';
import { keepNewest, readNewest } from './log-file.ts';
import { createLocalMemory } from './memory.ts';
import { launchProcess } from './process.ts';

/** Provides for one server as a process of this machine, in a folder of its own that goes with it. */
export async function seatLocally(
  kind: ServerKind,
  address: Address,
  program: Program,
  context: StageContext,
): Promise<ServerDriver> {
  const { clock, watchdog, logMaxBytes, diskMaxBytes } = context;
  const { parent = tmpdir(), segmentFile } = kind.local;
  const own = await makeOwnFolder(join(parent, 'holdfast-stage-'), watchdog);
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
  const pidFile = segmentFile === undefined ? undefined : join(directory, segmentFile);
  if (pidFile !== undefined) releases.push(watchdog.guard({ type: 'segment', pidFile }));
  const log = join(home, 'server.log');
  const args = await kind.local.arrange(directory, address);
  const { stopSignal = 'SIGTERM' } = kind;
  let isComplete = false;
  return {
    async launch() {
      await keepNewest(log, logMaxBytes);
      const life = await launchProcess({
        program,
        args,
        directory,
        log,
        stopSignal,
        clock,
        watchdog,
        onPid: (pid) => memory.launched(pid),
      });
      if (!isComplete) kind.local.complete?.(directory);
      isComplete = true;
      return life;
    },
    memory: process.platform === 'linux' ? memory : undefined,
    disk: diskMaxBytes === undefined ? undefined : ballastIn(directory),
    probe: (limit) => kind.probe(address, limit),
    log: async () => (await readNewest(log, logMaxBytes)).toString('utf8'),
    async discard() {
      if (pidFile !== undefined) await removeSegment(pidFile);
      await memory.discard();
      if (diskMaxBytes !== undefined) await unmount(directory);
      await own.remove();
      for (const release of releases) release();
    },
  };
}
