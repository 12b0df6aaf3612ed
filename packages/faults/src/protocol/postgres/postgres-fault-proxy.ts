import { type Clock, integer, parseOptions } from '@holdfast/foundation';
import { errorResponse } from '@holdfast/protocols/postgres';
import type { ProxyAddresses } from '../../proxy/addresses.ts';
import {
  type ProtocolFaultProxy,
  type ProtocolFaultProxyStats,
  openProtocolFaultProxy,
  protocolProxyShape,
} from '../protocol-fault-proxy.ts';
import {
  type PostgresErrorKind,
  type PostgresErrors,
  type ResolvedPostgresError,
  asksServer,
  errorFields,
  isAtStart,
  parsePostgresError,
  postgresErrorKinds,
  refusesStatement,
} from './postgres-errors.ts';
import { PostgresFilter } from './postgres-filter.ts';

/** Options of `createPostgresFaultProxy`. */
export interface PostgresFaultProxyOptions extends ProxyAddresses {
  /** How long Postgres may take to accept; then the client gets RST. Default 30 000. */
  dialTimeoutMs?: number;
  /** A longer statement, or longer values for one, passes unread. Default 16 MiB. */
  maxMessageBytes?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** What a Postgres fault proxy has seen and done, read at any time. */
export type PostgresFaultProxyStats = ProtocolFaultProxyStats<PostgresErrorKind>;

/**
 * A proxy in front of a Postgres that refuses connections and statements with errors of Postgres, in the simple and
 * the extended protocol, and passes everything else. It declines TLS, which it could not read. For network faults put
 * a {@link FaultProxy} in front of it.
 */
export interface PostgresFaultProxy extends ProtocolFaultProxy<PostgresErrors> {
  /** Ends every session by 57P01, idle ones too, as a restart of the server does. */
  terminate(): void;
}

const shape = {
  ...protocolProxyShape,
  maxMessageBytes: integer({ min: 5, max: 1_073_741_824, default: 16_777_216 }),
};

/**
 * Stands between a client and Postgres, and answers statements with its errors.
 * @throws InvalidOptionError, RemoteTargetError, ProxyListenError
 */
export async function createPostgresFaultProxy(
  given: PostgresFaultProxyOptions,
): Promise<PostgresFaultProxy> {
  const options = parseOptions('createPostgresFaultProxy', shape, given);
  const { proxy, connections } = await openProtocolFaultProxy<
    PostgresErrors,
    ResolvedPostgresError
  >(options, {
    kinds: postgresErrorKinds,
    parseFault: parsePostgresError,
    createFilter: (io, injector, { connection }) =>
      new PostgresFilter(io, {
        connection,
        maxMessageBytes: options.maxMessageBytes,
        startRefusal() {
          const drawn = injector.drawFirst([connection, 0], (_, kind) => isAtStart(kind));
          drawn?.felt();
          return drawn && errorFields(drawn.kind, '');
        },
        refusalOf(statement, number) {
          const drawn = injector.drawFirst([connection, number], (fault, kind) =>
            refusesStatement(fault, kind, statement),
          );
          drawn?.felt();
          return drawn && errorFields(drawn.kind, statement.verb);
        },
        mayAsk() {
          const fault = injector.get('25006');
          return fault !== undefined && fault.statements === undefined;
        },
        expose: (statements, number) =>
          injector.expose('25006', [connection, number], (fault) => asksServer(fault, statements)),
      }),
  });
  return {
    ...proxy,
    terminate() {
      const bytes = errorResponse(errorFields('57P01', ''));
      for (const io of connections()) io.closeAfter(bytes);
    },
  };
}
