import { hideCredentials } from '@holdfast/foundation';
import { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
import { stripSecrets } from '../secrets.ts';
import type { RequiredOptions } from '../connector.ts';
import { connectorOption } from '../lookup-connector.ts';
import type { RedisServer } from '../server-options.ts';
import { ClusterResolver } from './cluster-resolver.ts';
import { SentinelResolver } from './sentinel-resolver.ts';
import type { CreateResolver, ServerResolverOptions, ServerResolver } from './server-resolver.ts';

export function resolversFor(server: RedisServer, options: ServerResolverOptions): CreateResolver {
  if (server.kind === 'cluster') {
    const { nodes, login, natMap, lookup } = server;
    const known = [...nodes];
    return (slot) => new ClusterResolver({ ...options, login, natMap, lookup, known }, slot);
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
        return create({ ...required, ...connectorOption(server.lookup) });
      } catch (error) {
        const seen = hideCredentials(String(error));
        throw new BackendError('denied', `redis.connect: ${seen}`, stripSecrets(error));
      }
    },
    verify: () => Promise.resolve(),
    isCurrent: () => Promise.resolve(true),
  };
}
