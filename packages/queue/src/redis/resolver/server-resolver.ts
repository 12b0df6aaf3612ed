import type { Clock } from '@holdfast/foundation';
import { Redis } from 'ioredis';
import { BackendError } from '../../errors.ts';
import { ClusterResolver } from './cluster-resolver.ts';
import type { RequiredOptions } from '../connection/connector.ts';
import { SentinelResolver } from './sentinel-resolver.ts';
import type { RedisServer } from '../server-options.ts';

/** How a link comes to the one server it wants. */
export interface ServerResolver {
  /**
   * Finds the server and makes a client that is not connected yet.
   * @throws BackendError when nobody could say where it is.
   */
  client(required: RequiredOptions): Promise<Redis>;
  /**
   * Makes sure that a connected server is the one wanted.
   * @throws BackendError when it is not.
   */
  verify(client: Redis): Promise<void>;
  /** Whether the server is still the one wanted, as far as others can tell without it. */
  isCurrent(client: Redis): Promise<boolean>;
}

export interface ResolverOptions {
  readonly clock: Clock;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
}

/** Which link a route is for: that of a topic's slot, or any. */
export type CreateResolver = (slot?: number) => ServerResolver;

export function resolversFor(server: RedisServer, options: ResolverOptions): CreateResolver {
  if (server.kind === 'cluster') {
    const known = [...server.nodes];
    return (slot) => new ClusterResolver({ ...options, login: server.login, known }, slot);
  }
  const route =
    server.kind === 'sentinel' ? new SentinelResolver({ ...options, ...server }) : direct(server);
  return () => route;
}

function direct(server: Extract<RedisServer, { kind: 'url' | 'connect' }>): ServerResolver {
  const make =
    server.kind === 'connect'
      ? server.connect
      : (required: RequiredOptions) => new Redis(server.url, required);
  return {
    async client(required) {
      try {
        return make(required);
      } catch (error) {
        throw new BackendError('denied', `redis.connect: ${String(error)}`, error);
      }
    },
    verify: () => Promise.resolve(),
    isCurrent: () => Promise.resolve(true),
  };
}
