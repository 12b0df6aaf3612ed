import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-stage-'));
  const release = watchdog.guard({ type: 'directory', path: directory });
  const log = join(directory, 'server.log');
  const args = await kind.local.arrange(directory, address);
  return {
    async launch() {
      await keepNewest(log, logMaxBytes);
      return launchProcess({ program, args, directory, log, clock, watchdog });
    },
    probe: (limit) => kind.probe(address, limit),
    log: async () => (await readNewest(log, logMaxBytes)).toString('utf8'),
    async discard() {
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
      release();
    },
  };
}
