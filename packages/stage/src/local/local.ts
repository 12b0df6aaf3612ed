import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeSegment } from '../postgres/shared-memory.ts';
import type { Address, Program, ServerKind, StageContext } from '../server-kind.ts';
import type { ServerDriver } from '../server.ts';
import { keepNewest, readNewest } from './log-file.ts';
import { launchProcess } from './process.ts';

/** Provides for one server as a process of this machine, in a folder of its own that goes with it. */
export async function seatLocally(
  kind: ServerKind,
  address: Address,
  program: Program,
  context: StageContext,
): Promise<ServerDriver> {
  const { clock, watchdog, logMaxBytes } = context;
  const { parent = tmpdir(), segmentFile } = kind.local;
  const directory = await mkdtemp(join(parent, 'holdfast-stage-'));
  const releases = [watchdog.guard({ type: 'directory', path: directory })];
  // Its own user must find the way to what it owns in there.
  if (program.user !== undefined) await chmod(directory, 0o711);
  const pidFile = segmentFile === undefined ? undefined : join(directory, segmentFile);
  if (pidFile !== undefined) releases.push(watchdog.guard({ type: 'segment', pidFile }));
  const log = join(directory, 'server.log');
  const args = await kind.local.arrange(directory, address);
  const { stopSignal = 'SIGTERM' } = kind;
  return {
    async launch() {
      await keepNewest(log, logMaxBytes);
      return launchProcess({ program, args, directory, log, stopSignal, clock, watchdog });
    },
    probe: (limit) => kind.probe(address, limit),
    log: async () => (await readNewest(log, logMaxBytes)).toString('utf8'),
    async discard() {
      if (pidFile !== undefined) await removeSegment(pidFile);
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
      for (const release of releases) release();
    },
  };
}
