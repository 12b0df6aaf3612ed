import type { ServerHandle } from '../../handle/handle.ts';
import { imageOf } from '../../images.ts';
import type { Environment } from '../../system/executable.ts';
import { type ServerTopology, composeServices, singleServer } from '../../topology/topology.ts';
import { type RedisCluster, redisCluster } from './cluster.ts';
import { type RedisSettings, redisNode } from './node.ts';
import type { ResolvedRedisOptions } from './options.ts';
import { locateRedis } from './program.ts';
import { type RedisSentinel, redisSentinel } from './sentinel.ts';

/** Redis in the topology of the options. */
export function redisTopology(
  options: ResolvedRedisOptions,
  env: Environment,
): ServerTopology<ServerHandle | RedisSentinel | RedisCluster> {
  if (options.topology === 'sentinel') return redisSentinel(options, env);
  if (options.topology === 'cluster') return redisCluster(options, env);
  return standaloneRedis(options.settings, env);
}

/** What docker-compose.test.yml says of its Redis. */
const COMPOSE_SETTINGS: RedisSettings = { appendonly: 'yes', appendfsync: 'always', save: '' };

function areOfCompose(settings: RedisSettings): boolean {
  return Object.entries(settings).every(([name, value]) => COMPOSE_SETTINGS[name] === value);
}

function standaloneRedis(settings: RedisSettings, env: Environment): ServerTopology<ServerHandle> {
  const password = settings['requirepass'];
  const credentials = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  const prefix = `redis://${credentials}`;
  return singleServer({
    compose: composeServices(['redis'], areOfCompose(settings) ? [] : ['redis.settings']),
    docker: { available: true, images: [imageOf('redis', env)] },
    locate: (context, signal) => locateRedis({ ...context, env }, signal),
    serverSpec: (endpoint) => redisNode({ name: 'redis', prefix, settings }, endpoint, env),
  });
}
