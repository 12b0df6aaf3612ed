import { randomUUID } from 'node:crypto';
import { environment, requireNode, systemRandom } from '@holdfast/foundation';
import type { ServerHandle } from './handle/handle.ts';
import { type StageNetwork, stageNetwork } from './handle/network.ts';
import type { StageMode } from './mode-name.ts';
import { type ResolvedStageOptions, type StageOptions, parseStageOptions } from './options.ts';
import { chooseMode } from './runtime/choose-mode.ts';
import {
  type NamedTopology,
  checkImages,
  checkServices,
  composeEndpoints,
  driverFor,
} from './runtime/choose-runtime.ts';
import { type EmulatedServerHandles, emulatedTopologies } from './servers/emulated-options.ts';
import {
  type Postgres,
  type PostgresWithPgBouncer,
  type PostgresWithReplica,
  postgresTopology,
} from './servers/postgres/postgres.ts';
import type { RedisCluster } from './servers/redis/cluster.ts';
import { redisTopology } from './servers/redis/redis.ts';
import type { RedisSentinel } from './servers/redis/sentinel.ts';
import type { Environment } from './system/executable.ts';
import { startTopology } from './topology/start-topology.ts';
import { forMode } from './topology/topology.ts';
import { openWatchdog } from './watchdog/watchdog.ts';

/** The handle of each option. */
interface StageServers<O extends StageOptions> extends EmulatedServerHandles {
  readonly redis: O['redis'] extends 'sentinel' | { topology: 'sentinel' }
    ? RedisSentinel
    : O['redis'] extends 'cluster' | { topology: 'cluster' }
      ? RedisCluster
      : ServerHandle;
  readonly postgres: (O['postgres'] extends 'replica' | { replica: true }
    ? PostgresWithReplica
    : Postgres) &
    (O['postgres'] extends { pgbouncer: object | true } ? PostgresWithPgBouncer : unknown);
}

interface StageBase {
  readonly mode: StageMode;
  readonly network: StageNetwork;
  /**
   * Ends every server, in whatever state, and removes what it has left. Always resolves: within four times
   * `stopTimeoutMs`, and 10 s more for what only the watchdog can remove, with a warning. Calling it again
   * changes nothing.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** An open stage, with the handle of each given option. */
export type Stage<O extends StageOptions = StageOptions> = StageBase & {
  readonly [
    Name in keyof StageServers<O> as undefined extends O[Name] ? never : Name
  ]: StageServers<O>[Name];
};

/**
 * Starts real servers and resolves when each has answered. Nothing is left of them when this rejects. The first
 * run on a machine fetches servers: a hook of a test runner needs `STAGE_OPEN_TIMEOUT_MS` for it.
 * @throws UnsupportedNodeError, InvalidOptionError, StageModeError, RedisNotFoundError, PostgresNotFoundError,
 * PgBouncerNotFoundError, PostgresTemplateError, StageFolderError, ServerStartError, ServerTimeoutError
 */
export function openStage<const O extends StageOptions>(options: O): Promise<Stage<O>>;
export async function openStage(
  given: StageOptions,
): Promise<StageBase & { readonly redis?: unknown; readonly postgres?: unknown }> {
  requireNode('openStage');
  const options = parseStageOptions(given);
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const topologies = topologiesOf(options, environment);
  const checks = { ...options, signal, env: environment };
  const chosen = await chooseMode(
    { mode: options.mode, variable: environment['HOLDFAST_STAGE'] },
    () => checkImages(topologies, checks),
    () => checkServices(topologies, checks),
  );
  const watchdog = openWatchdog(options.clock);
  const context = { ...options, id: randomUUID(), random: systemRandom, watchdog };
  const starts = await Promise.allSettled(
    topologies.map(async ({ name, topology: planned }) => {
      const topology = forMode(chosen.kind, planned);
      const createDriver = await driverFor(chosen, topology, context, signal);
      const existing = composeEndpoints(chosen, topology);
      const start = { name, topology, context, createDriver, existing };
      return { name, running: await startTopology(start, signal) };
    }),
  );
  const started = starts.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));

  const closeAll = async (): Promise<void> => {
    const failures = (await Promise.all(started.map(({ running }) => running.close()))).flat();
    // It removes what is still there.
    await watchdog.close();
    for (const failure of failures) {
      process.emitWarning(`the watchdog had to close the stage: ${String(failure)}`);
    }
  };
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= closeAll());
  const failed = starts.find((each) => each.status === 'rejected');
  if (failed !== undefined) {
    await close();
    throw failed.reason;
  }
  watchdog.ready();
  return {
    ...Object.fromEntries(started.map(({ name, running }) => [name, running.handle])),
    mode: chosen.kind,
    network: stageNetwork(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function topologiesOf(options: ResolvedStageOptions, env: Environment): NamedTopology[] {
  const { redis, postgres } = options;
  const topologies = {
    redis: redis && redisTopology(redis, env),
    postgres: postgres && postgresTopology(postgres, env),
    ...emulatedTopologies(options, env),
  };
  return Object.entries(topologies).flatMap(([name, topology]) =>
    topology === undefined ? [] : [{ name, topology }],
  );
}
