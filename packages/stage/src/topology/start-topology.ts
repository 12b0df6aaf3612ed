import { withDeadline } from '@holdfast/foundation';
import type { Ensemble } from './topology.ts';
import { ServerTimeoutError } from '../errors.ts';
import { type Link, openLink, wasPortTaken } from '../handle/link.ts';
import { type ReservedPort, reservePorts } from '../system/ports.ts';
import type { Address, Place, ServerKind, StageContext } from './server-spec.ts';
import { type ServerDriver, type StagedServer, stageServer } from '../handle/server.ts';

/** How many times ports are drawn when others keep taking them in the moment before the servers do. */
const MAX_DRAWS = 5;

/** Provides for one server what depends on the mode. */
export type Seat = (kind: ServerKind, address: Address) => Promise<ServerDriver>;

/** An open ensemble: its handle, and what only the stage may do with it. */
export interface OpenEnsemble<Handle> {
  readonly handle: Handle;
  close(): Promise<void>;
}

/**
 * Opens the servers of an ensemble on free ports of 127.0.0.1, and resolves when each has given its first
 * answer and they have settled. Nothing is left of them when this rejects.
 * @param found where its servers stand already; absent for those that are to be started on free ports.
 */
export async function openEnsemble<Handle>(
  name: string,
  ensemble: Ensemble<Handle>,
  context: StageContext,
  seat: Seat,
  signal: AbortSignal,
  found?: readonly Address[],
): Promise<OpenEnsemble<Handle>> {
  const { clock, readyTimeoutMs, random } = context;
  for (let draw = 1; ; draw += 1) {
    const ports =
      found?.map(foundPort) ?? (await reservePorts(random, ensemble.size, ensemble.portOffsets));
    const links: Link[] = [];
    const servers: StagedServer[] = [];
    const close = async (): Promise<void> => {
      const closings = await Promise.allSettled(servers.map((server) => server.close()));
      await Promise.all([...ports, ...links].map((each) => each.release()));
      throwFirst(closings);
    };
    try {
      const addresses = ports.map(({ port }) => ({ host: '127.0.0.1', port }));
      if (context.link && ensemble.isDatagram !== true) {
        for (const address of addresses) links.push(await openLink(address, context));
      }
      const places = addresses.map(({ host, port }, at) => ({
        host,
        port,
        announced: links[at]?.address ?? { host, port },
      }));
      for (const wave of ensemble.cast(places)) {
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
        ensemble.settle(handles, context, limit),
      );
      return { handle: ensemble.present(handles, context), close };
    } catch (error) {
      const wasTaken = wasPortTaken(error) || (await isTaken(ports, servers));
      await close();
      if (!wasTaken || draw === MAX_DRAWS) throw error;
    }
  }

  async function take(
    kind: ServerKind,
    place: Place | undefined,
    link: Link | undefined,
  ): Promise<StagedServer> {
    if (place === undefined) throw new RangeError(`${kind.name} has no address`);
    const { host, port, announced } = place;
    const driver = await seat(kind, { host, port });
    const description = {
      ...context,
      ...announced,
      name: kind.name,
      url: kind.url(announced),
      direct: { url: kind.url({ host, port }), host, port },
      link: link?.proxy,
    };
    return stageServer(description, driver);
  }
}

/** The port of a server that is there already. */
function foundPort({ port }: Address): ReservedPort {
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
export function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
