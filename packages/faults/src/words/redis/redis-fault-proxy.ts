import { type Clock, objectWith, integer, parseOptions, systemClock } from '@holdfast/foundation';
import { createDecisionLog } from '../../decision-log.ts';
import { type ProxyAddresses, addressShape, refuseRemote } from '../../proxy/addresses.ts';
import { createStrikes } from '../strikes.ts';
import {
  type WordFaultProxy,
  type WordFaultProxyStats,
  wordFaultProxy,
} from '../word-fault-proxy.ts';
import { openWordProxy } from '../word-proxy.ts';
import { createRedisInterpreter } from './redis-interpreter.ts';
import {
  type ReadRedisWord,
  type RedisWord,
  type RedisWords,
  concerns,
  readRedisWord,
  redisWords,
  worded,
} from './redis-words.ts';

export interface RedisFaultProxyOptions extends ProxyAddresses {
  /** How long Redis may take to accept; then the client gets RST. Default 30 000. */
  dialTimeoutMs?: number;
  /** A longer command breaks its connection. Default 64 MiB. */
  maxCommandBytes?: number;
  /** More commands without a reply break their connection. Default 1 000 000. */
  maxPendingReplies?: number;
  clock?: Clock;
}

export type RedisFaultProxyStats = WordFaultProxyStats<RedisWord>;

/**
 * Stands before a Redis and refuses commands in its words, RESP2 and RESP3 alike; the rest passes as it is.
 * Put a {@link FaultProxy} before it for faults of the wire.
 */
export type RedisFaultProxy = WordFaultProxy<RedisWords>;

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
  const strikes = createStrikes<RedisWord, ReadRedisWord>(redisWords, { seed, log });

  const proxy = await openWordProxy({
    ...settled,
    interpreterOf: (connection, line) =>
      createRedisInterpreter(line, {
        ...settled,
        refusal(command, number) {
          const meets = (fault: ReadRedisWord, word: RedisWord): boolean =>
            concerns(fault, word, command.name);
          const strike = strikes.draw(connection, number, meets);
          return strike && worded(strike.kind, strike.fault, command, proxy);
        },
      }),
  });
  return wordFaultProxy(proxy, { seed, log, strikes, read: readRedisWord });
}
