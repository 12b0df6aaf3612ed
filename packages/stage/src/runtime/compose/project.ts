import { type EngineAddress, getFromEngine } from '../../system/container-engine.ts';
import type { Endpoint } from '../../system/endpoint.ts';
import type { Environment } from '../../system/executable.ts';
import { fieldOf } from '../../system/fields.ts';
import type { DockerAvailability } from '../container/availability.ts';

/** A running service of docker-compose.test.yml. */
export interface ComposeServer {
  readonly service: string;
  readonly project: string;
  readonly container: string;
  readonly endpoint: Endpoint;
}

/** The label by which each service of docker-compose.test.yml names its port on 127.0.0.1. */
const PORT_LABEL = 'holdfast.port';
const SERVICE_LABEL = 'com.docker.compose.service';
const PROJECT_LABEL = 'com.docker.compose.project';

/** The running services, or why one of them is missing. */
export type ComposeAvailability =
  | {
      readonly available: true;
      readonly engine: EngineAddress;
      readonly servers: ReadonlyMap<string, ComposeServer>;
    }
  | Extract<DockerAvailability, { available: false }>;

/** A service that a topology needs, and the profile that starts it. */
interface NeededService {
  readonly service: string;
  readonly profile: string | undefined;
}

/** Looks for the containers of services in a running compose project. */
export async function findServices(
  engine: EngineAddress,
  services: readonly NeededService[],
  env: Environment,
  signal: AbortSignal,
): Promise<ComposeAvailability> {
  const servers = new Map<string, ComposeServer>();
  for (const { service, profile } of services) {
    const found = await findService(engine, service, env['COMPOSE_PROJECT_NAME'], signal);
    if (found === undefined) {
      return {
        available: false,
        reason: `no container of the service '${service}' of docker-compose.test.yml exists`,
        remedy: `Start it: '${startCommand(service, profile)}'`,
      };
    }
    servers.set(service, found);
  }
  return { available: true, engine, servers };
}

/** Starts a service, or all of its profile: a topology needs them all. */
function startCommand(service: string, profile: string | undefined): string {
  const compose = 'docker compose -f docker-compose.test.yml';
  const up = 'up --detach --wait';
  return profile === undefined
    ? `${compose} ${up} ${service}`
    : `${compose} --profile ${profile} ${up}`;
}

/** The present container of a service; compose creates a new one whenever it recreates the service. */
export async function findService(
  engine: EngineAddress,
  service: string,
  project: string | undefined,
  signal: AbortSignal,
): Promise<ComposeServer | undefined> {
  const label = [`${SERVICE_LABEL}=${service}`, PORT_LABEL];
  if (project !== undefined && project !== '') label.push(`${PROJECT_LABEL}=${project}`);
  const filters = encodeURIComponent(JSON.stringify({ label }));
  const listed = await getFromEngine(engine, `/containers/json?all=1&filters=${filters}`, signal);
  return serverIn(service, listed);
}

function serverIn(service: string, listed: unknown): ComposeServer | undefined {
  const [first]: unknown[] = Array.isArray(listed) ? listed : [];
  const id = fieldOf(first, 'Id');
  const labels = fieldOf(first, 'Labels');
  const port = Number(fieldOf(labels, PORT_LABEL));
  if (typeof id !== 'string' || Number.isNaN(port)) return undefined;
  const project = String(fieldOf(labels, PROJECT_LABEL));
  return { service, project, container: id, endpoint: { host: '127.0.0.1', port } };
}
