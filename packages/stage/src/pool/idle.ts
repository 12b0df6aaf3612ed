import { type Clock, withDeadline } from '@holdfast/foundation';
import type { ServerHandle } from '../handle/handle.ts';
import type { StageOptions } from '../options.ts';
import { askRedis } from '../servers/redis/command.ts';
import type { RedisCluster } from '../servers/redis/cluster.ts';
import type { Stage } from '../stage.ts';
import { fieldOf } from '../system/fields.ts';

/** A stage that is not leased. */
export interface IdleStage<O extends StageOptions> {
  readonly stage: Stage<O>;
  /** Resumes its servers. */
  readonly wake: () => Promise<void>;
  /** Restores its initial state; false when opening another stage is faster or safer. */
  readonly reset: () => Promise<boolean>;
}

/** How long a reset may take before another stage is opened instead. */
const RESET_TIMEOUT_MS = 1_000;

/** @param freezes false for a stage that is leased at once. */
export async function toIdle<O extends StageOptions>(
  stage: Stage<O>,
  clock: Clock,
  freezes = true,
): Promise<IdleStage<O>> {
  const cluster = clusterOf(stage);
  const servers = freezes && cluster === undefined ? standaloneServers(stage) : [];
  await Promise.all(servers.map((server) => server.freeze()));
  return {
    stage,
    wake: async () => {
      await Promise.all(servers.map((server) => server.thaw()));
    },
    reset: async () => cluster !== undefined && hasOnlyRedis(stage) && flushCluster(cluster, clock),
  };
}

/** The servers that can be frozen, because no other server monitors them. */
function standaloneServers(stage: object): ServerHandle[] {
  return Object.values(stage).flatMap((part: unknown) => {
    if (isServer(part)) return [part];
    const primary = fieldOf(part, 'primary');
    const isStandalone =
      fieldOf(part, 'replica') === undefined && fieldOf(part, 'replicas') === undefined;
    return isServer(primary) && isStandalone ? [primary] : [];
  });
}

function clusterOf(stage: object): RedisCluster | undefined {
  const redis = fieldOf(stage, 'redis');
  return isCluster(redis) ? redis : undefined;
}

function hasOnlyRedis(stage: object): boolean {
  return fieldOf(stage, 'postgres') === undefined;
}

/** Empties a cluster in its initial state; a running one is ready two seconds sooner than a new one. */
async function flushCluster(cluster: RedisCluster, clock: Clock): Promise<boolean> {
  const late = (): Error => new Error(`not reset within ${RESET_TIMEOUT_MS} ms`);
  try {
    const primaries = cluster.nodes.slice(0, cluster.nodes.length / 2);
    if (cluster.nodes.some(({ state }) => state !== 'running')) return false;
    await Promise.all(cluster.nodes.map((node) => node.link.heal()));
    const replies = await withDeadline(clock, RESET_TIMEOUT_MS, undefined, late, (limit) =>
      Promise.all(primaries.map(({ direct }) => askRedis(direct, ['FLUSHALL'], limit))),
    );
    // A former primary refuses the command: READONLY.
    return replies.every((reply) => reply.kind === 'value');
  } catch {
    return false;
  }
}

function isServer(value: unknown): value is ServerHandle {
  return (
    typeof fieldOf(value, 'freeze') === 'function' && typeof fieldOf(value, 'port') === 'number'
  );
}

function isCluster(value: unknown): value is RedisCluster {
  return typeof fieldOf(value, 'primaryOfSlot') === 'function';
}
