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
import { errorResponse } from '@holdfast/protocols/postgres';
import { createPostgresInterpreter } from './postgres-interpreter.ts';
import {
  type PostgresWord,
  type PostgresWords,
  type ReadPostgresWord,
  concerns,
  isAtStart,
  postgresWords,
  readPostgresWord,
  worded,
} from './postgres-words.ts';

export interface PostgresFaultProxyOptions extends ProxyAddresses {
  /** How long Postgres may take to accept; then the client gets RST. Default 30 000. */
  dialTimeoutMs?: number;
  /** A longer statement, or values for one, is not looked at and passes. Default 16 MiB. */
  maxMessageBytes?: number;
  clock?: Clock;
}

export type PostgresFaultProxyStats = WordFaultProxyStats<PostgresWord>;

/**
 * Stands before a Postgres and refuses connections and statements in its words, in the simple and the
 * extended protocol; the rest passes as it is. It declines TLS, which it could not read: put a
 * {@link FaultProxy} before it for faults of the wire.
 */
export interface PostgresFaultProxy extends WordFaultProxy<PostgresWords> {
  /** Ends every session by 57P01, idle ones too, as a restart of the server does. */
  terminate(): void;
}

const shape = {
  ...addressShape,
  dialTimeoutMs: integer({ min: 1, max: 86_400_000, default: 30_000 }),
  maxMessageBytes: integer({ min: 5, max: 1_073_741_824, default: 16_777_216 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError, RemoteTargetError, ProxyListenError */
export async function createPostgresFaultProxy(
  options: PostgresFaultProxyOptions,
): Promise<PostgresFaultProxy> {
  const settled = parseOptions('createPostgresFaultProxy', shape, options);
  const { target, seed, maxMessageBytes } = settled;
  refuseRemote(target, settled.allowRemote);
  const log = createDecisionLog();
  const strikes = createStrikes<PostgresWord, ReadPostgresWord>(postgresWords, { seed, log });

  const proxy = await openWordProxy({
    ...settled,
    interpreterOf: (connection, line) =>
      createPostgresInterpreter(line, {
        connection,
        maxMessageBytes,
        startRefusal() {
          const strike = strikes.draw(connection, 0, (_, word) => isAtStart(word));
          return strike && worded(strike.kind, '');
        },
        refusal(statement, number) {
          const meets = (fault: ReadPostgresWord, word: PostgresWord): boolean =>
            concerns(fault, word, statement);
          const strike = strikes.draw(connection, number, meets);
          return strike && worded(strike.kind, statement.verb);
        },
      }),
  });
  return {
    ...wordFaultProxy(proxy, { seed, log, strikes, read: readPostgresWord }),
    terminate() {
      const lastWords = errorResponse(worded('57P01', ''));
      for (const line of proxy.lines()) line.hangUp(lastWords);
    },
  };
}
