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
import { errorResponse } from '@holdfast/protocols/postgres';
import { createPostgresFilter } from './postgres-filter.ts';
import {
  type PostgresErrorKind,
  type PostgresErrors,
  type ResolvedPostgresError,
  refusesStatement,
  isAtStart,
  postgresErrorKinds,
  parsePostgresError,
  errorFields,
} from './postgres-errors.ts';

export interface PostgresFaultProxyOptions extends ProxyAddresses {
  /** How long Postgres may take to accept; then the client gets RST. Default 30 000. */
  dialTimeoutMs?: number;
  /** A longer statement, or values for one, is not looked at and passes. Default 16 MiB. */
  maxMessageBytes?: number;
  clock?: Clock;
}

export type PostgresFaultProxyStats = ProtocolFaultProxyStats<PostgresErrorKind>;

/**
 * Stands before a Postgres and refuses connections and statements in its words, in the simple and the
 * extended protocol; the rest passes as it is. It declines TLS, which it could not read: put a
 * {@link FaultProxy} before it for faults of the wire.
 */
export interface PostgresFaultProxy extends ProtocolFaultProxy<PostgresErrors> {
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
  const strikes = createFaultInjector<PostgresErrorKind, ResolvedPostgresError>(
    postgresErrorKinds,
    { seed, log },
  );

  const proxy = await openProtocolProxy({
    ...settled,
    filterFor: (connection, line) =>
      createPostgresFilter(line, {
        connection,
        maxMessageBytes,
        startRefusal() {
          const strike = strikes.draw(connection, 0, (_, word) => isAtStart(word));
          return strike && errorFields(strike.kind, '');
        },
        refusal(statement, number) {
          const meets = (fault: ResolvedPostgresError, word: PostgresErrorKind): boolean =>
            refusesStatement(fault, word, statement);
          const strike = strikes.draw(connection, number, meets);
          return strike && errorFields(strike.kind, statement.verb);
        },
      }),
  });
  return {
    ...protocolFaultProxy(proxy, { seed, log, strikes, read: parsePostgresError }),
    terminate() {
      const lastWords = errorResponse(errorFields('57P01', ''));
      for (const line of proxy.connections()) line.closeAfter(lastWords);
    },
  };
}
