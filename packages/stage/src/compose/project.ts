import { type EngineAddress, askEngine } from '../docker/engine.ts';
import type { DockerVerdict } from '../docker/verdict.ts';
import type { Address, Environment } from '../server-kind.ts';

/** A server of docker-compose.test.yml that has been brought up. */
export interface ComposedServer {
  readonly service: string;
  readonly container: string;
  readonly address: Address;
}

/** Where each service of docker-compose.test.yml says at which port of 127.0.0.1 it is to be found. */
const PORT_LABEL = 'holdfast.port';

/** The services that were brought up, or why one of them cannot be had. */
export type ComposeVerdict =
  | {
      readonly stands: true;
      readonly engine: EngineAddress;
      readonly servers: ReadonlyMap<string, ComposedServer>;
    }
  | Extract<DockerVerdict, { stands: false }>;

/** Looks for the containers of services in a compose project that is up. */
export async function judgeCompose(
  engine: EngineAddress,
  services: readonly string[],
  env: Environment,
  signal: AbortSignal,
): Promise<ComposeVerdict> {
  const project = env['COMPOSE_PROJECT_NAME'];
  const servers = new Map<string, ComposedServer>();
  for (const service of services) {
    const label = [`com.docker.compose.service=${service}`, PORT_LABEL];
    if (project !== undefined && project !== '')
      label.push(`com.docker.compose.project=${project}`);
    const path = `/containers/json?all=1&filters=${encodeURIComponent(JSON.stringify({ label }))}`;
    const listed = await askEngine(engine, { method: 'GET', path, signal });
    const found = serverIn(service, JSON.parse(listed.toString('utf8')));
    if (found === undefined) {
      return {
        stands: false,
        why: `no container of the service '${service}' of docker-compose.test.yml is there`,
        wayOut: `Bring it up: 'docker compose -f docker-compose.test.yml up --detach --wait'`,
      };
    }
    servers.set(service, found);
  }
  return { stands: true, engine, servers };
}

function serverIn(service: string, listed: unknown): ComposedServer | undefined {
  const [first]: unknown[] = Array.isArray(listed) ? listed : [];
  const id = fieldOf(first, 'Id');
  const port = Number(fieldOf(fieldOf(first, 'Labels'), PORT_LABEL));
  if (typeof id !== 'string' || Number.isNaN(port)) return undefined;
  return { service, container: id, address: { host: '127.0.0.1', port } };
}

export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
