import { type RedisCluster, type RedisSentinel, openStage } from '@holdfast/stage';
import { Cluster, Redis } from 'ioredis';
import { type Field, openField } from './field.ts';

export interface SentinelField extends Field {
  readonly redis: RedisSentinel;
}

export interface ClusterField extends Field {
  readonly redis: RedisCluster;
}

type Settings = Readonly<Record<string, string>>;

/** A primary with two replicas, and three Sentinels that watch it. */
export async function openSentinelField(settings: Settings): Promise<SentinelField> {
  const stage = await openStage({ redis: { topology: 'sentinel', settings } });
  const { redis } = stage;
  const sentinels = [...redis.sentinelAddresses];
  const name = redis.masterName;
  const field = openField({
    stage,
    server: { sentinels, name },
    client: () => new Redis({ sentinels, name, maxRetriesPerRequest: null }),
  });
  return { ...field, redis };
}

/** Three primaries with a replica each. */
export async function openClusterField(settings: Settings): Promise<ClusterField> {
  const stage = await openStage({ redis: { topology: 'cluster', settings } });
  const { redis } = stage;
  const cluster = redis.nodes.map(({ host, port }) => ({ host, port }));
  const field = openField({ stage, server: { cluster }, client: () => new Cluster(cluster) });
  return { ...field, redis };
}
