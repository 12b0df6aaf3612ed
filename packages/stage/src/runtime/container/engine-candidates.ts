import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { EngineAddress } from '../../system/container-engine.ts';
import type { Environment } from '../../system/executable.ts';
import { textFieldOf, fieldOf } from '../../system/fields.ts';

/** Where an engine may listen, and what names it. */
interface EngineCandidate {
  /** Such as `DOCKER_HOST`, or the path of a usual socket. */
  readonly source: string;
  readonly engine: EngineAddress;
}

interface EngineCandidates {
  readonly candidates: readonly EngineCandidate[];
  /** Why an engine that somebody chose cannot be used; none of the others is tried then. */
  readonly obstacle?: string;
}

/** What the usual sockets are called on this machine. */
interface UsualPlaces {
  readonly systemSocket: string;
  /** The folder of each user's sockets. */
  readonly userFolder: string;
}

const USUAL_PLACES: UsualPlaces = {
  systemSocket: '/var/run/docker.sock',
  userFolder: `/run/user/${process.getuid?.() ?? userInfo().uid}`,
};

/** The port of an engine without TLS. */
const ENGINE_PORT = 2_375;

/** The address of an engine as a user has configured it. */
interface ConfiguredHost {
  readonly source: string;
  readonly host: string;
  readonly usesTls: boolean;
}

/**
 * Where an engine may listen, in the order in which Testcontainers tries them: `tc.host` of
 * `~/.testcontainers.properties`, `DOCKER_HOST` or else `docker.host` of that file, the current context of the
 * Docker CLI, `/var/run/docker.sock`, the sockets of a rootless engine and of Docker Desktop.
 */
export async function findEngineCandidates(
  env: Environment,
  { systemSocket, userFolder }: UsualPlaces = USUAL_PLACES,
): Promise<EngineCandidates> {
  const home = env['HOME'] || homedir();
  const candidates: EngineCandidate[] = [];
  for (const { source, host, usesTls } of await configuredHosts(env, home)) {
    const engine = parseDockerHost(host);
    if (engine === undefined) {
      const obstacle = `${source} names an engine on another machine, whose loopback address is not ours`;
      return { candidates: [], obstacle: `${obstacle} (${host})` };
    }
    if (usesTls && 'host' in engine) {
      return { candidates: [], obstacle: `${source} names an engine with TLS (${host})` };
    }
    candidates.push({ source, engine });
  }
  const runtime = env['XDG_RUNTIME_DIR'];
  const sockets = [
    systemSocket,
    ...(runtime === undefined || runtime === '' ? [] : [join(runtime, 'docker.sock')]),
    join(home, '.docker/run/docker.sock'),
    join(home, '.docker/desktop/docker.sock'),
    join(userFolder, 'docker.sock'),
  ];
  for (const socketPath of new Set(sockets)) {
    const found = await stat(socketPath).catch(() => undefined);
    if (found?.isSocket() === true) candidates.push({ source: socketPath, engine: { socketPath } });
  }
  return { candidates };
}

/** `undefined` for an engine on another machine. */
export function parseDockerHost(value: string): EngineAddress | undefined {
  if (value.startsWith('unix://')) return { socketPath: value.slice('unix://'.length) };
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isHere = url !== undefined && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (!isHere || !['tcp:', 'http:'].includes(url.protocol)) return undefined;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { host, port: url.port === '' ? ENGINE_PORT : Number(url.port) };
}

/** The inverse of {@link parseDockerHost}. */
export function dockerHostOf(engine: EngineAddress): string {
  if ('socketPath' in engine) return `unix://${engine.socketPath}`;
  const host = engine.host.includes(':') ? `[${engine.host}]` : engine.host;
  return `tcp://${host}:${engine.port}`;
}

async function configuredHosts(env: Environment, home: string): Promise<ConfiguredHost[]> {
  const file = '~/.testcontainers.properties';
  const properties = await readProperties(join(home, '.testcontainers.properties'));
  const usesTls = (env['DOCKER_TLS_VERIFY'] ?? properties.get('docker.tls.verify')) === '1';
  const fromVariable = env['DOCKER_HOST'];
  const hosts = [
    { source: `tc.host of ${file}`, host: properties.get('tc.host'), usesTls: false },
    fromVariable === undefined
      ? { source: `docker.host of ${file}`, host: properties.get('docker.host'), usesTls }
      : { source: 'DOCKER_HOST', host: fromVariable, usesTls },
  ];
  const configured = hosts.flatMap(({ host = '', ...rest }) =>
    host === '' ? [] : [{ host, ...rest }],
  );
  // As the Docker CLI does: a host overrides the context.
  const isHostGiven = configured.some(({ source }) => !source.startsWith('tc.host'));
  return isHostGiven ? configured : [...configured, ...(await contextHost(env, home))];
}

/** The address in the current context of the Docker CLI; none for its context `default`. */
async function contextHost(env: Environment, home: string): Promise<ConfiguredHost[]> {
  const folder = env['DOCKER_CONFIG'] || join(home, '.docker');
  const config = await readJson(join(folder, 'config.json'));
  const name = env['DOCKER_CONTEXT'] || textFieldOf(config, 'currentContext') || 'default';
  if (name === 'default') return [];
  const digest = createHash('sha256').update(name).digest('hex');
  const meta = await readJson(join(folder, 'contexts/meta', digest, 'meta.json'));
  const host = textFieldOf(fieldOf(fieldOf(meta, 'Endpoints'), 'docker'), 'Host') ?? '';
  if (host === '') return [];
  const certificates = join(folder, 'contexts/tls', digest);
  const usesTls = (await stat(certificates).catch(() => undefined)) !== undefined;
  return [{ source: `the Docker context '${name}'`, host, usesTls }];
}

/** A JSON file of the Docker CLI; `undefined` when there is none, or another program is writing it. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** A file of Java properties, in which `:` and `=` may be escaped. */
async function readProperties(path: string): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.matchAll(/^[ \t]*([\w.]+)[ \t]*[=:][ \t]*(.*?)[ \t]*\r?$/gm);
  return new Map([...lines].map(([, name = '', value = '']) => [name, unescaped(value)]));
}

function unescaped(value: string): string {
  return value.replaceAll(/\\(.)/g, '$1');
}
