import { type Clock, withDeadline } from '@holdfast/foundation';
import { askRedis } from '../servers/redis/command.ts';
import type { RedisCluster } from '../servers/redis/cluster.ts';
import type { ServerHandle, Stage, StageOptions } from '../stage.ts';

/** A stage that nobody uses. */
export interface IdleStage<O extends StageOptions> {
  readonly stage: Stage<O>;
  /** Makes it go on. */
  readonly wake: () => Promise<void>;
  /** Makes it as new; false where it is quicker, or safer, to open another one. */
  readonly reset: () => Promise<boolean>;
}

/** How long a reset may take before another stage is opened instead. */
const RESET_TIMEOUT_MS = 1_000;

/** @param standsStill false for one that is used at once. */
export async function toIdle<O extends StageOptions>(
  stage: Stage<O>,
  clock: Clock,
  standsStill = true,
): Promise<IdleStage<O>> {
  const cluster = clusterOf(stage);
  const servers = standsStill && cluster === undefined ? standaloneServers(stage) : [];
  await Promise.all(servers.map((server) => server.freeze()));
  return {
    stage,
    wake: async () => {
      await Promise.all(servers.map((server) => server.thaw()));
    },
    reset: async () => cluster !== undefined && hasOnlyRedis(stage) && flushCluster(cluster, clock),
  };
}

/** Servers that nobody waits for while they stand still. */
function standaloneServers(stage: object): ServerHandle[] {
  return Object.values(stage).flatMap((part: unknown) => {
    if (isServer(part)) return [part];
    const primary = fieldOf(part, 'primary');
    // One with a replica has somebody who waits for it, as has one with Sentinels.
    const isAlone =
      fieldOf(part, 'replica') === undefined && fieldOf(part, 'replicas') === undefined;
    return isServer(primary) && isAlone ? [primary] : [];
  });
}

function clusterOf(stage: object): RedisCluster | undefined {
  const redis = fieldOf(stage, 'redis');
  return isCluster(redis) ? redis : undefined;
}

function hasOnlyRedis(stage: object): boolean {
  return fieldOf(stage, 'postgres') === undefined;
}

/** Empties a cluster that is still as it was at first; a warm one is ready two seconds sooner than a new. */
async function flushCluster(cluster: RedisCluster, clock: Clock): Promise<boolean> {
  const late = (): Error => new Error(`not reset within ${RESET_TIMEOUT_MS} ms`);
  try {
    const primaries = cluster.nodes.slice(0, cluster.nodes.length / 2);
    if (cluster.nodes.some(({ state }) => state !== 'running')) return false;
    await Promise.all(cluster.nodes.map((node) => node.link.heal()));
    const replies = await withDeadline(clock, RESET_TIMEOUT_MS, undefined, late, (limit) =>
      Promise.all(primaries.map(({ direct }) => askRedis(direct, ['FLUSHALL'], limit))),
    );
    // A former primary refuses to be flushed: READONLY.
    return replies.every((reply) => reply.kind === 'value');
  } catch {
    return false;
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function isServer(value: unknown): value is ServerHandle {
  return (
    typeof fieldOf(value, 'freeze') === 'function' && typeof fieldOf(value, 'port') === 'number'
  );
}

function isCluster(value: unknown): value is RedisCluster {
  return typeof fieldOf(value, 'primaryOfSlot') === 'function';
}
