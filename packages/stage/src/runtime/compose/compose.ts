import { containerNetwork } from '../docker/network-attachment.ts';
import { type EngineAddress, askEngine } from '../../system/container-engine.ts';
import { followContainer, readLogs } from '../docker/container-lifecycle.ts';
import { containerMemory } from '../docker/memory.ts';
import { containerPackets } from '../docker/packets.ts';
import type { ServerSpec, StageContext } from '../../topology/server-spec.ts';
import type { ServerDriver } from '../../handle/server.ts';
import { type ComposeServer, fieldOf, findService } from './project.ts';

/**
 * Takes over a container that compose has brought up. It is broken like any other, and given back running:
 * at the end of the stage, or of the runner.
 */
export function createComposeDriver(
  kind: ServerSpec,
  server: ComposeServer,
  { logMaxBytes, watchdog }: StageContext,
  engine: EngineAddress,
): ServerDriver {
  const { service, project, address } = server;
  let { container } = server;
  let unguard = watchdog.guard({ type: 'composed', engine, container });
  let isAdopted = false;
  const packets = containerPackets(kind.name, engine, () => container);
  return {
    async launch(signal) {
      const now = await findService(engine, service, project, signal);
      if (now !== undefined && now.container !== container) {
        unguard();
        ({ container } = now);
        unguard = watchdog.guard({ type: 'composed', engine, container });
        isAdopted = false;
      }
      await ensureRunning(engine, container, signal);
      await packets.renew(signal);
      return followContainer(engine, container, kind.stopSignal);
    },
    async probe(signal) {
      if (!isAdopted) await kind.configureExisting?.(address, signal);
      isAdopted = true;
      return kind.probe(address, signal);
    },
    memory: containerMemory(kind.name, engine, () => container),
    network: containerNetwork(kind.name, engine, () => container),
    packets,
    async log(signal) {
      const printed = await readLogs(engine, container, signal);
      return printed.subarray(-logMaxBytes).toString('utf8');
    },
    detach: (signal) => ensureRunning(engine, container, signal),
    cleanUp() {
      unguard();
      return Promise.resolve();
    },
  };
}

/** Lets a container run, whatever state it was left in. */
export async function ensureRunning(
  engine: EngineAddress,
  container: string,
  signal: AbortSignal,
): Promise<void> {
  const path = `/containers/${container}`;
  const said = await askEngine(engine, { method: 'GET', path: `${path}/json`, signal });
  const state = fieldOf(JSON.parse(said.toString('utf8')), 'State');
  const verb = fieldOf(state, 'Paused') === true ? 'unpause' : 'start';
  if (fieldOf(state, 'Running') === true && verb === 'start') return;
  await askEngine(engine, { method: 'POST', path: `${path}/${verb}`, signal });
}
