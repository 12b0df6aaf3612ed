import { seatComposed } from './compose/compose.ts';
import { type ComposeVerdict, judgeCompose } from './compose/project.ts';
import { seatInDocker } from './docker/docker.ts';
import { type DockerVerdict, type VerdictOptions, judgeDocker } from './docker/availability.ts';
import { type Ensemble, standingIn } from '../topology/topology.ts';
import { seatLocally } from './local/local.ts';
import type { ChosenMode } from './choose-mode.ts';
import type { Seat } from '../topology/start-topology.ts';
import type { Address, StageContext } from '../topology/server-spec.ts';

/** An ensemble under the name of its option. */
export interface NamedEnsemble {
  readonly name: string;
  readonly ensemble: Ensemble<unknown>;
}

const NO_CLOCKS = {
  why: 'a clock is moved by a library of this machine, which an image does not have (serverClocks)',
  wayOut: `Use mode 'local' (HOLDFAST_STAGE=local)`,
};

/** Whether all of them can stand in Docker; one that cannot decides without the engine being asked. */
export async function judgeContainers(
  ensembles: readonly NamedEnsemble[],
  options: VerdictOptions & { readonly serverClocks: boolean },
): Promise<DockerVerdict> {
  if (options.serverClocks) return { stands: false, ...NO_CLOCKS };
  const images = new Set<string>();
  for (const { ensemble } of ensembles) {
    const { docker } = standingIn('docker', ensemble);
    if (!docker.stands) {
      return { stands: false, why: docker.why, wayOut: `Use mode 'local' (HOLDFAST_STAGE=local)` };
    }
    for (const image of docker.images) images.add(image);
  }
  return judgeDocker([...images], options);
}

/** Whether the services of all of them are up; one that has none decides without the engine being asked. */
export async function judgeServices(
  ensembles: readonly NamedEnsemble[],
  options: VerdictOptions & {
    readonly diskMaxBytes: number | undefined;
    readonly serverClocks: boolean;
  },
): Promise<ComposeVerdict> {
  if (options.serverClocks) return { stands: false, ...NO_CLOCKS };
  const wayOut = `Use mode 'local' or 'docker'`;
  const services: string[] = [];
  for (const { ensemble } of ensembles) {
    const { compose } = standingIn('compose', ensemble);
    if (!compose.stands) return { stands: false, why: compose.why, wayOut };
    services.push(...compose.services);
  }
  if (options.diskMaxBytes !== undefined) {
    return { stands: false, why: 'diskMaxBytes cannot change the disk of what is up', wayOut };
  }
  const verdict = await judgeDocker([], options);
  if (!verdict.stands) return verdict;
  return judgeCompose(verdict.engine, services, options.env, options.signal);
}

/** Where the servers of an ensemble stand already, in the order of their services. */
export function foundIn(chosen: ChosenMode, { compose }: Ensemble<unknown>): Address[] | undefined {
  if (chosen.mode !== 'compose' || !compose.stands) return undefined;
  return compose.services.flatMap((service) => chosen.servers.get(service)?.address ?? []);
}

/** Who provides for each server in the mode that was chosen. */
export async function seatIn(
  chosen: ChosenMode,
  ensemble: Ensemble<unknown>,
  context: StageContext,
  signal: AbortSignal,
): Promise<Seat> {
  if (chosen.mode === 'local') {
    const program = await ensemble.locate(context, signal);
    return (kind, address) => seatLocally(kind, address, program, context, signal);
  }
  if (chosen.mode === 'compose') {
    const servers = [...chosen.servers.values()];
    return (kind, { port }) => {
      const server = servers.find((each) => each.address.port === port);
      if (server === undefined) throw new TypeError(`${kind.name} is no service that is up`);
      return Promise.resolve(seatComposed(kind, server, context, chosen.engine));
    };
  }
  return async (kind, address) => {
    const { container } = kind;
    if (container === undefined)
      throw new TypeError(`${kind.name} is not described as a container`);
    return seatInDocker(kind, container, address, context, chosen.engine);
  };
}
