import { type RedisCluster, type RedisSentinel, openStage } from '@holdfast/stage';
import { Cluster, Redis } from 'ioredis';
import { type QueueFixture, openQueueFixture } from './queue-fixture.ts';

export interface SentinelFixture extends QueueFixture {
  readonly redis: RedisSentinel;
}

export interface ClusterFixture extends QueueFixture {
  readonly redis: RedisCluster;
}

type Settings = Readonly<Record<string, string>>;

/** A primary with two replicas, and three Sentinels that monitor it. */
export async function openSentinelFixture(settings: Settings): Promise<SentinelFixture> {
  const stage = await openStage({ redis: { topology: 'sentinel', settings } });
  const { redis } = stage;
  const sentinels = [...redis.sentinelAddresses];
  const name = redis.masterName;
  const field = openQueueFixture({
    stage,
    server: { sentinels, name },
    client: () => new Redis({ sentinels, name, maxRetriesPerRequest: null }),
  });
  return { ...field, redis };
}

/** Three primaries with one replica each. */
export async function openClusterFixture(settings: Settings): Promise<ClusterFixture> {
  const stage = await openStage({ redis: { topology: 'cluster', settings } });
  const { redis } = stage;
  const cluster = redis.nodes.map(({ host, port }) => ({ host, port }));
  const field = openQueueFixture({
    stage,
    server: { cluster },
    client: () => new Cluster(cluster),
  });
  return { ...field, redis };
}
