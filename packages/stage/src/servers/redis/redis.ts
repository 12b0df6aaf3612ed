import { type ServerTopology, composeServices, singleServer } from '../../topology/topology.ts';
import { imageOf } from '../../images.ts';
import type { Environment } from '../../topology/server-spec.ts';
import type { ServerHandle } from '../../stage.ts';
import { type RedisCluster, redisCluster } from './cluster.ts';
import type { ResolvedRedisOptions } from './options.ts';
import { type RedisSettings, redisNode } from './node.ts';
import { locateRedis } from './program.ts';
import { type RedisSentinel, redisSentinel } from './sentinel.ts';

/** Redis in the form that was asked for. */
export function redisTopology(
  form: ResolvedRedisOptions,
  env: Environment,
): ServerTopology<ServerHandle | RedisSentinel | RedisCluster> {
  if (form.topology === 'sentinel') return redisSentinel(form, env);
  if (form.topology === 'cluster') return redisCluster(form, env);
  return standaloneRedis(form.settings, env);
}

function standaloneRedis(settings: RedisSettings, env: Environment): ServerTopology<ServerHandle> {
  const password = settings['requirepass'];
  const credentials = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  return singleServer({
    compose: composeServices(['redis'], Object.keys(settings).length > 0 ? ['redis.settings'] : []),
    docker: { available: true, images: [imageOf('redis', env)] },
    locate: (context, signal) => locateRedis({ ...context, env }, signal),
    cast: (address) =>
      redisNode({ name: 'redis', prefix: `redis://${credentials}`, settings }, address, env),
  });
}
