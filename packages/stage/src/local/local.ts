import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openServer } from '../opening.ts';
import type { Address, Program, ServerKind, StageContext } from '../server-kind.ts';
import type { ServerDriver, StagedServer } from '../server.ts';
import { keepNewest, readNewest } from './log-file.ts';
import { launchProcess } from './process.ts';

/** Opens one server as a process of this machine, in a folder of its own that goes with it. */
export async function openLocally(
  kind: ServerKind,
  context: StageContext,
  signal: AbortSignal,
): Promise<StagedServer> {
  const program = await kind.local.locate(context, signal);
  return openServer(kind, context, (address) => seat(kind, program, address, context), signal);
}

async function seat(
  kind: ServerKind,
  program: Program,
  address: Address,
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
