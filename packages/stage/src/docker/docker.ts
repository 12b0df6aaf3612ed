import { orAbort } from '../deadline.ts';
import { openServer } from '../opening.ts';
import type { Address, ServerKind, StageContext } from '../server-kind.ts';
import type { ServerDriver, StagedServer } from '../server.ts';
import { startContainer } from './container.ts';
import { type EngineAddress, askEngine, removeContainers } from './engine.ts';
import { followContainer, readLogs } from './life.ts';

/** Opens one server as a container whose port is published on 127.0.0.1. */
export function openInDocker(
  kind: ServerKind,
  context: StageContext,
  engine: EngineAddress,
  signal: AbortSignal,
): Promise<StagedServer> {
  const seatAt = async (address: Address): Promise<ServerDriver> =>
    seat(kind, address, context, engine);
  return openServer(kind, context, seatAt, signal);
}

function seat(
  kind: ServerKind,
  address: Address,
  { id: stage, logMaxBytes, watchdog }: StageContext,
  engine: EngineAddress,
): ServerDriver {
  const labels = { 'holdfast.stage': stage, 'holdfast.server': kind.name };
  const filters = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  const release = watchdog.guard({ type: 'containers', engine, labels: filters });
  let creation: Promise<string> | undefined;
  let id: string | undefined;
  return {
    async launch(limit) {
      if (id === undefined) {
        creation = startContainer(kind, { address, labels, logMaxBytes });
        id = await orAbort(creation, limit);
      } else {
        const path = `/containers/${id}/start`;
        await askEngine(engine, { method: 'POST', path, signal: limit });
      }
      return followContainer(engine, id);
    },
    probe: (limit) => kind.probe(address, limit),
    async log(limit) {
      if (id === undefined) return '';
      const printed = await readLogs(engine, id, limit);
      return printed.subarray(-logMaxBytes).toString('utf8');
    },
    async discard(limit) {
      // A creation that was given up goes on by itself; what it brings must be there to be removed.
      await orAbort(Promise.allSettled([creation]), limit);
      await removeContainers(engine, filters, limit);
      release();
    },
  };
}
