import { type Clock, withDeadline } from '@holdfast/foundation';
import { engineStatus } from '../../errors.ts';
import { announceFirstRun } from '../../topology/first-run.ts';
import { variableOf } from '../../images.ts';
import type { Unavailable } from '../../system/availability.ts';
import { type EngineAddress, askEngine } from '../../system/container-engine.ts';
import type { Environment } from '../../system/executable.ts';
import { dockerHostOf, findEngineCandidates } from './engine-candidates.ts';

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
  findCandidates: typeof findEngineCandidates = findEngineCandidates,
): Promise<DockerAvailability> {
  const { candidates, obstacle } = await findCandidates(options.env);
  const silent: string[] = [];
  let cause: unknown;
  for (const { source, engine } of candidates) {
    try {
      await ping(engine, options);
    } catch (error) {
      options.signal.throwIfAborted();
      cause ??= error;
      silent.push(`${source} (${dockerHostOf(engine)})`);
      continue;
    }
    return pullImages(engine, images, options);
  }
  const tried = silent.length === 0 ? '' : `: not ${silent.join(', nor ')}`;
  return {
    available: false,
    reason: obstacle ?? `no container engine answers on this machine${tried}`,
    remedy: `Start an engine on this machine, or use mode 'local' (HOLDFAST_STAGE=local)`,
    cause,
  };
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
      announceFirstRun(`pulling the image ${image}`, fetchTimeoutMs);
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
