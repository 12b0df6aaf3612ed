import { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
import type { RequiredOptions } from '../connector.ts';
import type { RedisServer } from '../server-options.ts';
import { ClusterResolver } from './cluster-resolver.ts';
import { SentinelResolver } from './sentinel-resolver.ts';
import type { CreateResolver, ResolverOptions, ServerResolver } from './server-resolver.ts';

export function resolversFor(server: RedisServer, options: ResolverOptions): CreateResolver {
  if (server.kind === 'cluster') {
    const known = [...server.nodes];
    return (slot) => new ClusterResolver({ ...options, login: server.login, known }, slot);
  }
  const resolver =
    server.kind === 'sentinel'
      ? new SentinelResolver({ ...options, ...server })
      : fixedResolver(server);
  return () => resolver;
}

function fixedResolver(server: Extract<RedisServer, { kind: 'url' | 'connect' }>): ServerResolver {
  const create =
    server.kind === 'connect'
      ? server.connect
      : (required: RequiredOptions) => new Redis(server.url, required);
  return {
    async createClient(required) {
      try {
        return create(required);
      } catch (error) {
        throw new BackendError('denied', `redis.connect: ${String(error)}`, error);
      }
    },
    verify: () => Promise.resolve(),
    isCurrent: () => Promise.resolve(true),
  };
}
