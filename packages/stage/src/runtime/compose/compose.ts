import type { ServerDriver } from '../../handle/driver.ts';
import { type EngineAddress, ensureRunning } from '../../system/container-engine.ts';
import type { ServerSpec } from '../../topology/server-spec.ts';
import type { StageContext } from '../../topology/stage-context.ts';
import { containerControls } from '../container/controls.ts';
import { followContainer } from '../container/lifecycle.ts';
import { type ComposeServer, findService } from './project.ts';

/**
 * Drives a container that compose has started. It can be broken like any other, and runs again at the end of
 * the stage or of its process.
 */
export function createComposeDriver(
  spec: ServerSpec,
  server: ComposeServer,
  { logMaxBytes, watchdog }: StageContext,
  engine: EngineAddress,
): ServerDriver {
  const { service, project, endpoint } = server;
  let { container } = server;
  let release = watchdog.guard({ kind: 'composed', engine, container });
  let isConfigured = false;
  const controls = containerControls(spec.name, engine, () => container, logMaxBytes);
  return {
    ...controls,
    async launch(signal) {
      const present = await findService(engine, service, project, signal);
      if (present !== undefined && present.container !== container) {
        release();
        ({ container } = present);
        release = watchdog.guard({ kind: 'composed', engine, container });
        isConfigured = false;
      }
      await ensureRunning(engine, container, signal);
      await controls.packets.reapply(signal);
      return followContainer(engine, container, spec.stopSignal);
    },
    async probe(signal) {
      if (!isConfigured) await spec.configureExisting?.(endpoint, signal);
      isConfigured = true;
      return spec.probe(endpoint, signal);
    },
    detach: (signal) => ensureRunning(engine, container, signal),
    async cleanUp() {
      release();
    },
  };
}
