import { type EngineAddress, askEngine } from '../src/system/container-engine.ts';
import { parseDockerHost } from '../src/runtime/container/engine-candidates.ts';
import { fieldOf } from '../src/system/fields.ts';

/** The engine that the environment names. */
export function engineHere(): EngineAddress {
  const engine = parseDockerHost(process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock');
  if (engine === undefined) throw new Error('DOCKER_HOST names no engine of this machine');
  return engine;
}

async function ask(
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
): Promise<unknown> {
  const signal = AbortSignal.timeout(30_000);
  const given = body === undefined ? {} : { body };
  const said = await askEngine(engineHere(), { method, path, ...given, signal });
  return said.length === 0 ? undefined : JSON.parse(said.toString('utf8'));
}

async function idsOf(path: string, label: readonly string[]): Promise<string[]> {
  const listed = await ask('GET', path + encodeURIComponent(JSON.stringify({ label })));
  return Array.isArray(listed) ? listed.map((each: unknown) => String(fieldOf(each, 'Id'))) : [];
}

/** The ids of the containers that bear all those labels, `name` or `name=value`. */
export function containersWith(label: readonly string[]): Promise<string[]> {
  return idsOf('/containers/json?all=1&filters=', label);
}

/** The ids of the networks that bear all those labels. */
export function networksWith(label: readonly string[]): Promise<string[]> {
  return idsOf('/networks?filters=', label);
}

/** The one container that bears all those labels. */
async function containerWith(label: readonly string[]): Promise<string> {
  const [id, ...more] = await containersWith(label);
  if (id !== undefined && more.length === 0) return id;
  throw new Error(`${more.length + Number(id !== undefined)} containers bear ${label.join(', ')}`);
}

/** Removes the container that bears those labels, running or not, as a person would. */
export async function removeContainer(label: readonly string[]): Promise<void> {
  const id = await containerWith(label);
  await ask('DELETE', `/containers/${id}?force=1&v=1`);
}

/** Removes a container and makes another one like it, not started yet, as compose recreates a service. */
export async function recreateContainer(id: string): Promise<void> {
  const known = await ask('GET', `/containers/${id}/json`);
  const config = fieldOf(known, 'Config');
  const name = String(fieldOf(known, 'Name')).slice(1);
  await ask('DELETE', `/containers/${id}?force=1&v=1`);
  const like = { ...Object(config), HostConfig: fieldOf(known, 'HostConfig') };
  await ask('POST', `/containers/create?name=${name}`, like);
}
