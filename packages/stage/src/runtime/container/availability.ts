import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Clock, withDeadline } from '@holdfast/foundation';
import { engineStatus } from '../../errors.ts';
import { variableOf } from '../../images.ts';
import type { Unavailable } from '../../system/availability.ts';
import { type EngineAddress, askEngine } from '../../system/container-engine.ts';
import type { Environment } from '../../system/executable.ts';

/** Whether this machine has an engine with the images. */
export type DockerAvailability =
  | { readonly available: true; readonly engine: EngineAddress }
  | (Unavailable & { readonly cause?: unknown });

export interface DockerCheckOptions {
  readonly clock: Clock;
  /** How long pulling one image may take. */
  readonly fetchTimeoutMs: number;
  readonly signal: AbortSignal;
  readonly env: Environment;
}

/** An engine that answers more slowly is not used for tests. */
const ENGINE_TIMEOUT_MS = 3_000;

/** Looks for an engine on this machine and for the images in it, and pulls those that are missing. */
export async function checkDocker(
  images: readonly string[],
  options: DockerCheckOptions,
): Promise<DockerAvailability> {
  const { engines, obstacle } = await findEngines(options.env);
  let cause: unknown;
  for (const engine of engines) {
    try {
      await ping(engine, options);
    } catch (error) {
      options.signal.throwIfAborted();
      cause = error;
      continue;
    }
    return pullImages(engine, images, options);
  }
  return {
    available: false,
    reason: obstacle ?? 'no container engine answers on this machine',
    remedy: `Start an engine on this machine, or use mode 'local' (HOLDFAST_STAGE=local)`,
    cause,
  };
}

/** The usual sockets of an engine, in the order in which Testcontainers tries them. */
async function findEngines(
  env: Environment,
): Promise<{ engines: EngineAddress[]; obstacle?: string }> {
  const host = env['DOCKER_HOST'];
  if (host !== undefined && host !== '') {
    const engine = parseDockerHost(host);
    if (engine !== undefined) return { engines: [engine] };
    const obstacle =
      'DOCKER_HOST names an engine on another machine, whose loopback address is not ours';
    return { engines: [], obstacle };
  }
  const home = env['HOME'] ?? homedir();
  const runtime = env['XDG_RUNTIME_DIR'];
  const sockets = [
    '/var/run/docker.sock',
    ...(runtime === undefined ? [] : [join(runtime, 'docker.sock')]),
    join(home, '.docker/run/docker.sock'),
    join(home, '.docker/desktop/docker.sock'),
  ];
  const engines: EngineAddress[] = [];
  for (const socketPath of sockets) {
    const found = await stat(socketPath).catch(() => undefined);
    if (found?.isSocket() === true) engines.push({ socketPath });
  }
  return { engines };
}

/** `undefined` for an engine on another machine. */
export function parseDockerHost(value: string): EngineAddress | undefined {
  if (value.startsWith('unix://')) return { socketPath: value.slice('unix://'.length) };
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isHere = url !== undefined && ['localhost', '127.0.0.1'].includes(url.hostname);
  if (!isHere || !['tcp:', 'http:'].includes(url.protocol)) return undefined;
  return { host: url.hostname, port: url.port === '' ? 2375 : Number(url.port) };
}

async function ping(engine: EngineAddress, { clock, signal }: DockerCheckOptions): Promise<void> {
  const late = (): Error => new Error(`the engine did not answer in ${ENGINE_TIMEOUT_MS} ms`);
  await withDeadline(clock, ENGINE_TIMEOUT_MS, signal, late, (limit) =>
    askEngine(engine, { method: 'GET', path: '/_ping', signal: limit }),
  );
}

async function pullImages(
  engine: EngineAddress,
  images: readonly string[],
  { clock, signal, fetchTimeoutMs, env }: DockerCheckOptions,
): Promise<DockerAvailability> {
  for (const image of images) {
    try {
      if (await hasImage(engine, image, signal)) continue;
      const late = (): Error => new Error(`fetchTimeoutMs (${fetchTimeoutMs}) ran out`);
      const path = `/images/create?fromImage=${encodeURIComponent(image)}`;
      await withDeadline(clock, fetchTimeoutMs, signal, late, (limit) =>
        askEngine(engine, { method: 'POST', path, signal: limit }),
      );
      // The engine answers 200 when a pull begins; it may still fail.
      if (await hasImage(engine, image, signal)) continue;
      return imageMissing(image, env);
    } catch (error) {
      signal.throwIfAborted();
      return imageMissing(image, env, error);
    }
  }
  return { available: true, engine };
}

async function hasImage(
  engine: EngineAddress,
  image: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await askEngine(engine, { method: 'GET', path: `/images/${image}/json`, signal });
    return true;
  } catch (error) {
    if (engineStatus(error) === 404) return false;
    throw error;
  }
}

function imageMissing(image: string, env: Environment, cause?: unknown): DockerAvailability {
  return {
    available: false,
    reason: `the image ${image} is not in the engine and could not be pulled`,
    remedy:
      `Pull it, name another one in ${variableOf(image, env)}, build a stand-in with images/build.sh, ` +
      `or use mode 'local' (HOLDFAST_STAGE=local)`,
    cause,
  };
}
