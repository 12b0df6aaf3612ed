import { abortable, withDeadline } from '@holdfast/foundation';
import { ServerTimeoutError } from '../errors.ts';
import type { ServerDriver } from '../handle/driver.ts';
import { type ServerLink, openLink, wasPortTaken } from '../handle/link.ts';
import { StagedServer } from '../handle/server.ts';
import type { Endpoint } from '../system/endpoint.ts';
import { type ReservedPort, reservePorts } from '../system/ports.ts';
import type { ServerSpec } from './server-spec.ts';
import type { StageContext } from './stage-context.ts';
import type { ServerTopology } from './topology.ts';

/** How often other ports are tried when another process takes one before its server listens. */
const MAX_PORT_ATTEMPTS = 5;
const HOST = '127.0.0.1';

/** Creates what runs one server in the mode of the stage. */
export type CreateDriver = (spec: ServerSpec, endpoint: Endpoint) => Promise<ServerDriver>;

interface TopologyStart<Handle> {
  readonly name: string;
  readonly topology: ServerTopology<Handle>;
  readonly context: StageContext;
  readonly createDriver: CreateDriver;
  /** Where its servers run already; absent when they are started on free ports. */
  readonly existing?: readonly Endpoint[] | undefined;
}

/** A running topology: its handle, and its end, which is for the stage alone. */
interface RunningTopology<Handle> {
  readonly handle: Handle;
  /** Resolves with what could not be ended or removed. */
  close(): Promise<readonly unknown[]>;
}

/**
 * Starts the servers of a topology on free ports of 127.0.0.1, and resolves when each has answered and they
 * work together. Nothing is left of them when this rejects.
 */
export async function startTopology<Handle>(
  start: TopologyStart<Handle>,
  signal: AbortSignal,
): Promise<RunningTopology<Handle>> {
  const { topology, context, existing } = start;
  for (let attempt = 1; ; attempt += 1) {
    const ports =
      existing?.map(existingPort) ??
      (await reservePorts(context.random, topology.size, topology.portOffsets));
    const group = new ServerGroup(context, start.createDriver, ports);
    try {
      return { handle: await group.start(start, signal), close: () => group.close() };
    } catch (error) {
      const wasTaken = wasPortTaken(error) || (await group.isPortTaken());
      await group.close();
      if (!wasTaken || attempt === MAX_PORT_ATTEMPTS) throw error;
    }
  }
}

/** The servers, links and ports of one attempt to start a topology. */
class ServerGroup {
  readonly #context: StageContext;
  readonly #createDriver: CreateDriver;
  readonly #ports: readonly ReservedPort[];
  readonly #links: ServerLink[] = [];
  readonly #servers: StagedServer[] = [];

  constructor(context: StageContext, createDriver: CreateDriver, ports: readonly ReservedPort[]) {
    this.#context = context;
    this.#createDriver = createDriver;
    this.#ports = ports;
  }

  async start<Handle>(
    { name, topology }: TopologyStart<Handle>,
    signal: AbortSignal,
  ): Promise<Handle> {
    const context = this.#context;
    const endpoints = this.#ports.map(({ port }) => ({ host: HOST, port }));
    if (context.link && topology.isDatagram !== true) {
      for (const endpoint of endpoints) this.#links.push(await openLink(endpoint, context));
    }
    const advertised = endpoints.map(({ host, port }, index) => ({
      host,
      port,
      advertised: this.#links[index]?.endpoint ?? { host, port },
    }));
    for (const specs of topology.serverSpecs(advertised)) {
      const first = this.#servers.length;
      for (const spec of specs) this.#servers.push(await this.#createServer(spec));
      await startTogether(this.#servers.slice(first), signal);
    }
    const { clock, readyTimeoutMs } = context;
    const late = (): Error =>
      new ServerTimeoutError(name, readyTimeoutMs, 'answered, but did not form its topology');
    await withDeadline(clock, readyTimeoutMs, signal, late, (limit) =>
      topology.awaitFormed(this.#servers, context, limit),
    );
    return topology.toHandle(this.#servers, context);
  }

  /** Resolves with what could not be ended or removed; never rejects. */
  async close(): Promise<readonly unknown[]> {
    const { clock, stopTimeoutMs } = this.#context;
    const late = (): Error =>
      new Error(`a port or link was not released within ${stopTimeoutMs} ms`);
    const closings = await Promise.allSettled(this.#servers.map((server) => server.close()));
    const releases = await Promise.allSettled(
      [...this.#ports, ...this.#links].map((each) =>
        withDeadline(clock, stopTimeoutMs, undefined, late, (limit) =>
          abortable(each.release(), limit),
        ),
      ),
    );
    return rejectionsOf([...closings, ...releases]);
  }

  /** Whether another process listens at the endpoint of a server that does not run. */
  async isPortTaken(): Promise<boolean> {
    const unused = this.#ports.filter(
      (_, index) => (this.#servers[index]?.state ?? 'stopped') === 'stopped',
    );
    const free = await Promise.all(unused.map((port) => port.isFree()));
    return free.includes(false);
  }

  async #createServer(spec: ServerSpec): Promise<StagedServer> {
    const index = this.#servers.length;
    const reserved = this.#ports[index];
    if (reserved === undefined) throw new RangeError(`${spec.name} has no endpoint`);
    const endpoint = { host: HOST, port: reserved.port };
    const link = this.#links[index];
    const advertised = link?.endpoint ?? endpoint;
    const driver = await this.#createDriver(spec, endpoint);
    const { clock, readyTimeoutMs, stopTimeoutMs } = this.#context;
    const deps = {
      ...advertised,
      name: spec.name,
      url: spec.url(advertised),
      direct: { url: spec.url(endpoint), ...endpoint },
      link: link?.proxy,
      clock,
      readyTimeoutMs,
      stopTimeoutMs,
    };
    return new StagedServer(deps, driver);
  }
}

/** The port of a server that runs already. */
function existingPort({ port }: Endpoint): ReservedPort {
  return { port, isFree: () => Promise.resolve(true), release: () => Promise.resolve() };
}

/** Starts all servers; the first failure aborts the other starts. */
async function startTogether(servers: readonly StagedServer[], signal: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const starts = servers.map(async (server) => {
    try {
      await server.start({ signal: either });
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(starts);
  either.throwIfAborted();
}

/** The reasons of the rejected promises. */
function rejectionsOf(results: readonly PromiseSettledResult<unknown>[]): unknown[] {
  return results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
}
