import type { StageMode } from '../mode-name.ts';
import type { Unavailable } from '../system/availability.ts';
import type { Endpoint } from '../system/endpoint.ts';
import type { StageContext } from '../topology/stage-context.ts';
import type { CreateDriver } from '../topology/start-topology.ts';
import { type ServerTopology, forMode, localOnly } from '../topology/topology.ts';
import type { ChosenMode } from './choose-mode.ts';
import { createComposeDriver } from './compose/compose.ts';
import { type ComposeAvailability, findServices } from './compose/project.ts';
import {
  type DockerAvailability,
  type DockerCheckOptions,
  checkDocker,
} from './container/availability.ts';
import { createDockerDriver } from './docker/docker.ts';
import { createLocalDriver } from './local/local.ts';

/** A topology under the name of its option. */
export interface NamedTopology {
  readonly name: string;
  readonly topology: ServerTopology<unknown>;
}

interface RuntimeCheckOptions extends DockerCheckOptions {
  readonly diskMaxBytes: number | undefined;
  readonly serverClocks: boolean;
}

const NO_SERVER_CLOCKS: Unavailable = localOnly(
  'a clock is moved by a library of this machine, which an image does not have (serverClocks)',
);

/** The first topology that a mode cannot run; the engine is not asked then. */
function firstUnavailable(
  mode: StageMode,
  topologies: readonly NamedTopology[],
): Unavailable | undefined {
  for (const { topology } of topologies) {
    const { docker, compose } = forMode(mode, topology);
    const result = mode === 'docker' ? docker : compose;
    if (!result.available) return result;
  }
  return undefined;
}

/** Whether all topologies can run in Docker. */
export async function checkImages(
  topologies: readonly NamedTopology[],
  options: RuntimeCheckOptions,
): Promise<DockerAvailability> {
  const obstacle = options.serverClocks ? NO_SERVER_CLOCKS : firstUnavailable('docker', topologies);
  if (obstacle !== undefined) return obstacle;
  const images = topologies.flatMap(({ topology }) => {
    const { docker } = forMode('docker', topology);
    return docker.available ? docker.images : [];
  });
  return checkDocker([...new Set(images)], options);
}

/** Whether compose has started the services of all topologies. */
export async function checkServices(
  topologies: readonly NamedTopology[],
  options: RuntimeCheckOptions,
): Promise<ComposeAvailability> {
  const obstacle = options.serverClocks
    ? NO_SERVER_CLOCKS
    : firstUnavailable('compose', topologies);
  if (obstacle !== undefined) return obstacle;
  if (options.diskMaxBytes !== undefined) {
    const reason = 'diskMaxBytes cannot change the disk of a running service';
    return { available: false, reason, remedy: `Use mode 'local' or 'docker'` };
  }
  const services = topologies.flatMap(({ topology }) => {
    const { compose } = forMode('compose', topology);
    if (!compose.available) return [];
    return compose.services.map((service) => ({ service, profile: compose.profile }));
  });
  const docker = await checkDocker([], options);
  if (!docker.available) return docker;
  return findServices(docker.engine, services, options.env, options.signal);
}

/** The endpoints of a topology that compose has started, in the order of its services. */
export function composeEndpoints(
  chosen: ChosenMode,
  { compose }: ServerTopology<unknown>,
): Endpoint[] | undefined {
  if (chosen.kind !== 'compose' || !compose.available) return undefined;
  return compose.services.flatMap((service) => chosen.servers.get(service)?.endpoint ?? []);
}

/** Creates the drivers of a topology's servers in the chosen mode. */
export async function driverFor(
  chosen: ChosenMode,
  topology: ServerTopology<unknown>,
  context: StageContext,
  signal: AbortSignal,
): Promise<CreateDriver> {
  if (chosen.kind === 'local') {
    const executable = await topology.locate(context, signal);
    return (spec, endpoint) => {
      const server = { spec, endpoint, executable: spec.local.executable ?? executable, context };
      return createLocalDriver(server, signal);
    };
  }
  const { engine } = chosen;
  if (chosen.kind === 'compose') {
    const servers = [...chosen.servers.values()];
    return async (spec, { port }) => {
      const server = servers.find((each) => each.endpoint.port === port);
      if (server === undefined) throw new TypeError(`${spec.name} is no service of compose`);
      return createComposeDriver(spec, server, context, engine);
    };
  }
  return async (spec, endpoint) => {
    const { container } = spec;
    if (container === undefined) throw new TypeError(`${spec.name} has no container`);
    return createDockerDriver(spec, container, endpoint, context, engine);
  };
}
