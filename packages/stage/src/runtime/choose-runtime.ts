import { createComposeDriver } from './compose/compose.ts';
import { type ComposeAvailability, findServices } from './compose/project.ts';
import { createDockerDriver } from './docker/docker.ts';
import {
  type DockerAvailability,
  type DockerCheckOptions,
  checkDocker,
} from './docker/availability.ts';
import { type ServerTopology, forMode } from '../topology/topology.ts';
import { createLocalDriver } from './local/local.ts';
import type { ChosenMode } from './choose-mode.ts';
import type { CreateDriver } from '../topology/start-topology.ts';
import type { Address, StageContext } from '../topology/server-spec.ts';

/** An ensemble under the name of its option. */
export interface NamedTopology {
  readonly name: string;
  readonly topology: ServerTopology<unknown>;
}

const NO_SERVER_CLOCKS = {
  reason:
    'a clock is moved by a library of this machine, which an image does not have (serverClocks)',
  remedy: `Use mode 'local' (HOLDFAST_STAGE=local)`,
};

/** Whether all of them can stand in Docker; one that cannot decides without the engine being asked. */
export async function checkImages(
  ensembles: readonly NamedTopology[],
  options: DockerCheckOptions & { readonly serverClocks: boolean },
): Promise<DockerAvailability> {
  if (options.serverClocks) return { available: false, ...NO_SERVER_CLOCKS };
  const images = new Set<string>();
  for (const { topology } of ensembles) {
    const { docker } = forMode('docker', topology);
    if (!docker.available) {
      return {
        available: false,
        reason: docker.reason,
        remedy: `Use mode 'local' (HOLDFAST_STAGE=local)`,
      };
    }
    for (const image of docker.images) images.add(image);
  }
  return checkDocker([...images], options);
}

/** Whether the services of all of them are up; one that has none decides without the engine being asked. */
export async function checkServices(
  ensembles: readonly NamedTopology[],
  options: DockerCheckOptions & {
    readonly diskMaxBytes: number | undefined;
    readonly serverClocks: boolean;
  },
): Promise<ComposeAvailability> {
  if (options.serverClocks) return { available: false, ...NO_SERVER_CLOCKS };
  const remedy = `Use mode 'local' or 'docker'`;
  const services: string[] = [];
  for (const { topology } of ensembles) {
    const { compose } = forMode('compose', topology);
    if (!compose.available) return { available: false, reason: compose.reason, remedy };
    services.push(...compose.services);
  }
  if (options.diskMaxBytes !== undefined) {
    return {
      available: false,
      reason: 'diskMaxBytes cannot change the disk of what is up',
      remedy,
    };
  }
  const verdict = await checkDocker([], options);
  if (!verdict.available) return verdict;
  return findServices(verdict.engine, services, options.env, options.signal);
}

/** Where the servers of an ensemble stand already, in the order of their services. */
export function composeAddresses(
  chosen: ChosenMode,
  { compose }: ServerTopology<unknown>,
): Address[] | undefined {
  if (chosen.mode !== 'compose' || !compose.available) return undefined;
  return compose.services.flatMap((service) => chosen.servers.get(service)?.address ?? []);
}

/** Who provides for each server in the mode that was chosen. */
export async function driverFor(
  chosen: ChosenMode,
  ensemble: ServerTopology<unknown>,
  context: StageContext,
  signal: AbortSignal,
): Promise<CreateDriver> {
  if (chosen.mode === 'local') {
    const program = await ensemble.locate(context, signal);
    return (kind, address) => createLocalDriver(kind, address, program, context, signal);
  }
  if (chosen.mode === 'compose') {
    const servers = [...chosen.servers.values()];
    return (kind, { port }) => {
      const server = servers.find((each) => each.address.port === port);
      if (server === undefined) throw new TypeError(`${kind.name} is no service that is up`);
      return Promise.resolve(createComposeDriver(kind, server, context, chosen.engine));
    };
  }
  return async (kind, address) => {
    const { container } = kind;
    if (container === undefined)
      throw new TypeError(`${kind.name} is not described as a container`);
    return createDockerDriver(kind, container, address, context, chosen.engine);
  };
}
