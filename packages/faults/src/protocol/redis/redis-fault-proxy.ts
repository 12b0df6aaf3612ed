import { type Clock, objectWith, integer, parseOptions, systemClock } from '@holdfast/foundation';
import { createDecisionLog } from '../../decision-log.ts';
import { type ProxyAddresses, addressShape, refuseRemote } from '../../proxy/addresses.ts';
import { createFaultInjector } from '../../fault-injector.ts';
import {
  type ProtocolFaultProxy,
  type ProtocolFaultProxyStats,
  protocolFaultProxy,
} from '../protocol-fault-proxy.ts';
import { openProtocolProxy } from '../protocol-proxy.ts';
import { createRedisFilter } from './redis-filter.ts';
import {
  type ResolvedRedisError,
  type RedisErrorKind,
  type RedisErrors,
  refusesCommand,
  parseRedisError,
  redisErrorKinds,
  errorText,
} from './redis-errors.ts';

export interface RedisFaultProxyOptions extends ProxyAddresses {
  /** How long Redis may take to accept; then the client gets RST. Default 30 000. */
  dialTimeoutMs?: number;
  /** A longer command breaks its connection. Default 64 MiB. */
  maxCommandBytes?: number;
  /** More commands without a reply break their connection. Default 1 000 000. */
  maxPendingReplies?: number;
  clock?: Clock;
}

export type RedisFaultProxyStats = ProtocolFaultProxyStats<RedisErrorKind>;

/**
 * Stands before a Redis and refuses commands in its words, RESP2 and RESP3 alike; the rest passes as it is.
 * Put a {@link FaultProxy} before it for faults of the wire.
 */
export type RedisFaultProxy = ProtocolFaultProxy<RedisErrors>;

const shape = {
  ...addressShape,
  dialTimeoutMs: integer({ min: 1, max: 86_400_000, default: 30_000 }),
  maxCommandBytes: integer({ min: 1, max: 1_073_741_824, default: 67_108_864 }),
  maxPendingReplies: integer({ min: 1, max: 100_000_000, default: 1_000_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError, RemoteTargetError, ProxyListenError */
export async function createRedisFaultProxy(
  options: RedisFaultProxyOptions,
): Promise<RedisFaultProxy> {
  const settled = parseOptions('createRedisFaultProxy', shape, options);
  const { target, seed } = settled;
  refuseRemote(target, settled.allowRemote);
  const log = createDecisionLog();
  const strikes = createFaultInjector<RedisErrorKind, ResolvedRedisError>(redisErrorKinds, {
    seed,
    log,
  });

  const proxy = await openProtocolProxy({
    ...settled,
    filterFor: (connection, line) =>
      createRedisFilter(line, {
        ...settled,
        refusal(command, number) {
          const meets = (fault: ResolvedRedisError, word: RedisErrorKind): boolean =>
            refusesCommand(fault, word, command.name);
          const strike = strikes.draw(connection, number, meets);
          return strike && errorText(strike.kind, strike.fault, command, proxy);
        },
      }),
  });
  return protocolFaultProxy(proxy, { seed, log, strikes, read: parseRedisError });
}
