import { abortable } from '@holdfast/foundation';
import { engineStatus } from '../../errors.ts';
import type {
  Address,
  ContainerSpec,
  ServerSpec,
  StageContext,
} from '../../topology/server-spec.ts';
import type { ServerDriver } from '../../handle/server.ts';
import { containerNetwork } from './network-attachment.ts';
import { startContainer } from './container.ts';
import { type EngineAddress, askEngine, removeContainers } from '../../system/container-engine.ts';
import { followContainer, readLogs } from './container-lifecycle.ts';
import { containerMemory } from './memory.ts';
import { createHostDisk } from './host-disk.ts';
import { containerPackets } from './packets.ts';

/** Provides for one server as a container that listens on 127.0.0.1. */
export async function createDockerDriver(
  kind: ServerSpec,
  container: ContainerSpec,
  address: Address,
  { id: stage, logMaxBytes, diskMaxBytes, watchdog }: StageContext,
  engine: EngineAddress,
): Promise<ServerDriver> {
  const hostDisk =
    diskMaxBytes === undefined
      ? undefined
      : await createHostDisk(kind.name, container, diskMaxBytes, watchdog);
  const labels = {
    'holdfast.stage': stage,
    'holdfast.server': kind.name,
    'holdfast.runner': String(process.pid),
  };
  const filters = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  const release = watchdog.guard({ type: 'containers', engine, labels: filters });
  let creation: Promise<string> | undefined;
  let id: string | undefined;
  const packets = containerPackets(kind.name, engine, () => id);
  return {
    async launch(limit) {
      if (id !== undefined && !(await startAgain(engine, id, limit))) id = undefined;
      if (id === undefined) {
        const mounts = hostDisk === undefined ? [] : [hostDisk.mount];
        creation = startContainer(container, { address, labels, logMaxBytes, mounts });
        id = await abortable(creation, limit);
      }
      await packets.renew(limit);
      return followContainer(engine, id, kind.stopSignal);
    },
    probe: (limit) => kind.probe(address, limit),
    memory: containerMemory(kind.name, engine, () => id),
    network: containerNetwork(kind.name, engine, () => id),
    packets,
    disk: hostDisk?.disk,
    async log(limit) {
      if (id === undefined) return '';
      const printed = await readLogs(engine, id, limit);
      return printed.subarray(-logMaxBytes).toString('utf8');
    },
    async cleanUp(limit) {
      // A creation that was given up goes on by itself; what it brings must be there to be removed.
      await abortable(Promise.allSettled([creation]), limit);
      await removeContainers(engine, filters, limit);
      await hostDisk?.cleanUp();
      release();
    },
  };
}

/** Starts a container that has ended; `false` when somebody has removed it. */
async function startAgain(
  engine: EngineAddress,
  id: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await askEngine(engine, { method: 'POST', path: `/containers/${id}/start`, signal });
    return true;
  } catch (error) {
    if (engineStatus(error) !== 404) throw error;
    return false;
  }
}
