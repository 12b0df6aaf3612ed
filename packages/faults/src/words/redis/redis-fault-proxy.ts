import { type Clock, having, integer, readOptions, systemClock } from '@holdfast/resilience';
import { type Decisions, createDecisionLog } from '../../decision-log.ts';
import { ProxyClosedError } from '../../errors.ts';
import { type ProxyAddresses, addressShape, refuseRemote } from '../../proxy/addresses.ts';
import { createStrikes } from '../strikes.ts';
import { type WordProxyStats, openWordProxy } from '../word-proxy.ts';
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

export interface RedisFaultProxyStats extends WordProxyStats {
  readonly seed: number;
  /** How many commands each refusal has struck. */
  readonly struck: Readonly<Partial<Record<RedisWord, number>>>;
}

/**
 * Stands before a Redis and refuses commands in its words, RESP2 and RESP3 alike; the rest passes as it is.
 * Put a {@link FaultProxy} before it for faults of the wire.
 */
export interface RedisFaultProxy {
  readonly host: string;
  readonly port: number;
  readonly faults: {
    /** In force from the next command on. @throws InvalidOptionError, ProxyClosedError */
    set<Word extends RedisWord>(word: Word, options?: RedisWords[Word]): void;
    clear(word: RedisWord): void;
    list(): readonly RedisWord[];
  };
  /** Clears every refusal. */
  heal(): void;
  getStats(): RedisFaultProxyStats;
  /** Which commands chance has struck and spared; equal for equal seeds. */
  decisions(): Decisions;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const shape = {
  ...addressShape,
  dialTimeoutMs: integer({ min: 1, max: 86_400_000, default: 30_000 }),
  maxCommandBytes: integer({ min: 1, max: 1_073_741_824, default: 67_108_864 }),
  maxPendingReplies: integer({ min: 1, max: 100_000_000, default: 1_000_000 }),
  clock: having<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError, RemoteTargetError, ProxyListenError */
export async function createRedisFaultProxy(
  options: RedisFaultProxyOptions,
): Promise<RedisFaultProxy> {
  const settled = readOptions('createRedisFaultProxy', shape, options);
  const { target, seed } = settled;
  refuseRemote(target, settled.allowRemote);
  const log = createDecisionLog();
  const strikes = createStrikes<RedisWord, ReadRedisWord>(redisWords, { seed, log });
  let isClosed = false;

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
  const close = (): Promise<void> => {
    isClosed = true;
    strikes.clearAll();
    return proxy.close();
  };
  return {
    host: proxy.host,
    port: proxy.port,
    faults: {
      set(word, given) {
        if (isClosed) throw new ProxyClosedError();
        strikes.set(word, readRedisWord(word, given));
      },
      clear: (word) => strikes.clear(word),
      list: () => strikes.list(),
    },
    heal: () => strikes.clearAll(),
    getStats: () => ({ seed, ...proxy.getStats(), struck: strikes.struck() }),
    decisions: () => log.read(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
