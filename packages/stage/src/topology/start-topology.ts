import { withDeadline } from '@holdfast/foundation';
import type { ServerTopology } from './topology.ts';
import { ServerTimeoutError } from '../errors.ts';
import { type Link, openLink, wasPortTaken } from '../handle/link.ts';
import { type ReservedPort, reservePorts } from '../system/ports.ts';
import type { Address, ServerAddress, ServerSpec, StageContext } from './server-spec.ts';
import { type ServerDriver, type StagedServer, createStagedServer } from '../handle/server.ts';

/** How many times ports are drawn when others keep taking them in the moment before the servers do. */
const MAX_PORT_ATTEMPTS = 5;

/** Provides for one server what depends on the mode. */
export type CreateDriver = (kind: ServerSpec, address: Address) => Promise<ServerDriver>;

/** An open ensemble: its handle, and what only the stage may do with it. */
export interface RunningTopology<Handle> {
  readonly handle: Handle;
  close(): Promise<void>;
}

/**
 * Opens the servers of an ensemble on free ports of 127.0.0.1, and resolves when each has given its first
 * answer and they have settled. Nothing is left of them when this rejects.
 * @param found where its servers stand already; absent for those that are to be started on free ports.
 */
export async function startTopology<Handle>(
  name: string,
  ensemble: ServerTopology<Handle>,
  context: StageContext,
  seat: CreateDriver,
  signal: AbortSignal,
  found?: readonly Address[],
): Promise<RunningTopology<Handle>> {
  const { clock, readyTimeoutMs, random } = context;
  for (let draw = 1; ; draw += 1) {
    const ports =
      found?.map(fixedPort) ?? (await reservePorts(random, ensemble.size, ensemble.portOffsets));
    const links: Link[] = [];
    const servers: StagedServer[] = [];
    const close = async (): Promise<void> => {
      const closings = await Promise.allSettled(servers.map((server) => server.close()));
      await Promise.all([...ports, ...links].map((each) => each.release()));
      throwFirstRejection(closings);
    };
    try {
      const addresses = ports.map(({ port }) => ({ host: '127.0.0.1', port }));
      if (context.link && ensemble.isDatagram !== true) {
        for (const address of addresses) links.push(await openLink(address, context));
      }
      const places = addresses.map(({ host, port }, at) => ({
        host,
        port,
        advertised: links[at]?.address ?? { host, port },
      }));
      for (const wave of ensemble.serverSpecs(places)) {
        const first = servers.length;
        for (const kind of wave) {
          const at = servers.length;
          servers.push(await take(kind, places[at], links[at]));
        }
        await startTogether(servers.slice(first), signal);
      }
      const handles = servers.map(({ handle }) => handle);
      const late = (): Error =>
        new ServerTimeoutError(name, readyTimeoutMs, 'answered, but did not come together');
      await withDeadline(clock, readyTimeoutMs, signal, late, (limit) =>
        ensemble.awaitFormed(handles, context, limit),
      );
      return { handle: ensemble.toHandle(handles, context), close };
    } catch (error) {
      const wasTaken = wasPortTaken(error) || (await isTaken(ports, servers));
      await close();
      if (!wasTaken || draw === MAX_PORT_ATTEMPTS) throw error;
    }
  }

  async function take(
    kind: ServerSpec,
    place: ServerAddress | undefined,
    link: Link | undefined,
  ): Promise<StagedServer> {
    if (place === undefined) throw new RangeError(`${kind.name} has no address`);
    const { host, port, advertised } = place;
    const driver = await seat(kind, { host, port });
    const description = {
      ...context,
      ...advertised,
      name: kind.name,
      url: kind.url(advertised),
      direct: { url: kind.url({ host, port }), host, port },
      link: link?.proxy,
    };
    return createStagedServer(description, driver);
  }
}

/** The port of a server that is there already. */
function fixedPort({ port }: Address): ReservedPort {
  return { port, isFree: () => Promise.resolve(true), release: () => Promise.resolve() };
}

/** Starts them all; the first that fails ends the starts of the others. */
async function startTogether(servers: readonly StagedServer[], signal: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const starts = servers.map(async ({ handle }) => {
    try {
      await handle.start({ signal: either });
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(starts);
  either.throwIfAborted();
}

/** Whether somebody else listens at the address of one that does not run. */
async function isTaken(
  ports: readonly ReservedPort[],
  servers: readonly StagedServer[],
): Promise<boolean> {
  const down = ports.filter(
    (_, place) => (servers[place]?.handle.state ?? 'stopped') === 'stopped',
  );
  const free = await Promise.all(down.map((port) => port.isFree()));
  return free.includes(false);
}

/** Throws the reason of the first that was rejected. */
export function throwFirstRejection(results: readonly PromiseSettledResult<unknown>[]): void {
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
