import { type Clock, integer, parseOptions } from '@holdfast/foundation';
import type { ProxyAddresses } from '../../proxy/addresses.ts';
import {
  type ProtocolFaultProxy,
  type ProtocolFaultProxyStats,
  openProtocolFaultProxy,
  protocolProxyShape,
} from '../protocol-fault-proxy.ts';
import {
  type RedisErrorKind,
  type RedisErrors,
  type ResolvedRedisError,
  errorText,
  parseRedisError,
  redisErrorKinds,
  refusesCommand,
} from './redis-errors.ts';
import { RedisFilter } from './redis-filter.ts';

/** Options of `createRedisFaultProxy`. */
export interface RedisFaultProxyOptions extends ProxyAddresses {
  /** How long Redis may take to accept; then the client gets RST. Default 30 000. */
  dialTimeoutMs?: number;
  /** A longer command resets its connection. Default 64 MiB. */
  maxCommandBytes?: number;
  /** More commands without a reply reset their connection. Default 1 000 000. */
  maxPendingReplies?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** What a Redis fault proxy has seen and done, read at any time. */
export type RedisFaultProxyStats = ProtocolFaultProxyStats<RedisErrorKind>;

/**
 * A proxy in front of a Redis that refuses commands with errors of Redis (RESP2 and RESP3) and passes everything
 * else. For network faults put a {@link FaultProxy} in front of it.
 */
export type RedisFaultProxy = ProtocolFaultProxy<RedisErrors>;

const shape = {
  ...protocolProxyShape,
  maxCommandBytes: integer({ min: 1, max: 1_073_741_824, default: 67_108_864 }),
  maxPendingReplies: integer({ min: 1, max: 100_000_000, default: 1_000_000 }),
};

/**
 * Stands between a client and Redis, and answers commands with its errors.
 * @throws InvalidOptionError, RemoteTargetError, ProxyListenError
 */
export async function createRedisFaultProxy(
  given: RedisFaultProxyOptions,
): Promise<RedisFaultProxy> {
  const options = parseOptions('createRedisFaultProxy', shape, given);
  const { proxy } = await openProtocolFaultProxy<RedisErrors, ResolvedRedisError>(options, {
    kinds: redisErrorKinds,
    parseFault: parseRedisError,
    createFilter: (io, injector, { connection, self }) =>
      new RedisFilter(io, {
        ...options,
        refusalOf(command, number) {
          const drawn = injector.drawFirst([connection, number], (fault, kind) =>
            refusesCommand(fault, kind, command.name),
          );
          drawn?.felt();
          return drawn && errorText(drawn.kind, drawn.fault, command, self);
        },
      }),
  });
  return proxy;
}
