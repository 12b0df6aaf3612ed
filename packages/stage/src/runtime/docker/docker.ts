import { abortable } from '@holdfast/foundation';
import { engineStatus } from '../../errors.ts';
import type { ServerDriver } from '../../handle/driver.ts';
import { type EngineAddress, askEngine, removeContainers } from '../../system/container-engine.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { ContainerSpec, ServerSpec } from '../../topology/server-spec.ts';
import type { StageContext } from '../../topology/stage-context.ts';
import { containerControls } from '../container/controls.ts';
import { followContainer } from '../container/lifecycle.ts';
import { startContainer } from './container.ts';
import { createHostDisk } from './host-disk.ts';

/** Runs one server as a container that listens on 127.0.0.1. */
export async function createDockerDriver(
  spec: ServerSpec,
  container: ContainerSpec,
  endpoint: Endpoint,
  { id: stage, logMaxBytes, diskMaxBytes, watchdog }: StageContext,
  engine: EngineAddress,
): Promise<ServerDriver> {
  const hostDisk =
    diskMaxBytes === undefined
      ? undefined
      : await createHostDisk(spec.name, container, diskMaxBytes, watchdog);
  const labels = {
    'holdfast.stage': stage,
    'holdfast.server': spec.name,
    'holdfast.runner': String(process.pid),
  };
  const filters = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  const release = watchdog.guard({ kind: 'containers', engine, labels: filters });
  let creation: Promise<string> | undefined;
  let id: string | undefined;
  const controls = containerControls(spec.name, engine, () => id, logMaxBytes);
  return {
    ...controls,
    async launch(limit) {
      if (id !== undefined && !(await startAgain(engine, id, limit))) id = undefined;
      if (id === undefined) {
        const mounts = hostDisk === undefined ? [] : [hostDisk.mount];
        creation = startContainer(container, { engine, endpoint, labels, logMaxBytes, mounts });
        id = await abortable(creation, limit);
      }
      await controls.packets.reapply(limit);
      return followContainer(engine, id, spec.stopSignal);
    },
    probe: (limit) => spec.probe(endpoint, limit),
    disk: hostDisk?.disk,
    async cleanUp(limit) {
      // An aborted creation goes on by itself; its container can be removed only once it exists.
      await abortable(Promise.allSettled([creation]), limit);
      await removeContainers(engine, filters, limit);
      await hostDisk?.cleanUp();
      release();
    },
  };
}

/** Starts a container that has ended; `false` when it has been removed. */
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
