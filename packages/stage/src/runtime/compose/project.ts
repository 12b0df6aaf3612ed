import { type EngineAddress, askEngine } from '../../system/container-engine.ts';
import type { DockerAvailability } from '../docker/availability.ts';
import type { Address, Environment } from '../../topology/server-spec.ts';

/** A server of docker-compose.test.yml that has been brought up. */
export interface ComposeServer {
  readonly service: string;
  readonly project: string;
  readonly container: string;
  readonly address: Address;
}

/** Where each service of docker-compose.test.yml says at which port of 127.0.0.1 it is to be found. */
const PORT_LABEL = 'holdfast.port';
const SERVICE_LABEL = 'com.docker.compose.service';
const PROJECT_LABEL = 'com.docker.compose.project';

/** The services that were brought up, or why one of them cannot be had. */
export type ComposeAvailability =
  | {
      readonly available: true;
      readonly engine: EngineAddress;
      readonly servers: ReadonlyMap<string, ComposeServer>;
    }
  | Extract<DockerAvailability, { available: false }>;

/** Looks for the containers of services in a compose project that is up. */
export async function findServices(
  engine: EngineAddress,
  services: readonly string[],
  env: Environment,
  signal: AbortSignal,
): Promise<ComposeAvailability> {
  const servers = new Map<string, ComposeServer>();
  for (const service of services) {
    const found = await findService(engine, service, env['COMPOSE_PROJECT_NAME'], signal);
    if (found === undefined) {
      return {
        available: false,
        reason: `no container of the service '${service}' of docker-compose.test.yml is there`,
        remedy: `Bring it up: 'docker compose -f docker-compose.test.yml up --detach --wait ${service}'`,
      };
    }
    servers.set(service, found);
  }
  return { available: true, engine, servers };
}

/** The container that a service has now; compose gives it another one whenever it recreates it. */
export async function findService(
  engine: EngineAddress,
  service: string,
  project: string | undefined,
  signal: AbortSignal,
): Promise<ComposeServer | undefined> {
  const label = [`${SERVICE_LABEL}=${service}`, PORT_LABEL];
  if (project !== undefined && project !== '') label.push(`${PROJECT_LABEL}=${project}`);
  const path = `/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify({ label }))}`;
  const listed = await askEngine(engine, { method: 'GET', path, signal });
  return serverIn(service, JSON.parse(listed.toString('utf8')));
}

function serverIn(service: string, listed: unknown): ComposeServer | undefined {
  const [first]: unknown[] = Array.isArray(listed) ? listed : [];
  const id = fieldOf(first, 'Id');
  const labels = fieldOf(first, 'Labels');
  const port = Number(fieldOf(labels, PORT_LABEL));
  if (typeof id !== 'string' || Number.isNaN(port)) return undefined;
  const project = String(fieldOf(labels, PROJECT_LABEL));
  return { service, project, container: id, address: { host: '127.0.0.1', port } };
}

export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
