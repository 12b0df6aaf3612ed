import { type Clock, InvalidOptionError, onAbort } from '@holdfast/foundation';
import type { Client } from 'pg';
import type { Address } from '../address/address.ts';
import { type Connect, ConnectionRejected } from '../connection/connection.ts';
import { firstByteOf, keepAliveSocket, openConnection } from '../connection/connect-pg.ts';
import { PgConnection } from '../connection/pg-connection.ts';
import { codeOf, errorMessage } from '../connection/sql-state.ts';
import {
  answerWhenLost,
  drained,
  failCompletedCursors,
  keepErrorsOfCursors,
} from './client-state.ts';
import { tellOutcomes } from './lost-replies.ts';
import { OWNER } from './pool-config.ts';

interface ClientSourceDeps {
  readonly address: Address;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly keepAliveMs: number;
  /** pg's options as they are at this time: code written for pg changes them while the pool runs. */
  readonly options: () => Record<string, unknown>;
  readonly createClient: (options: Record<string, unknown>) => unknown;
  /** What has to succeed before a new client is used. */
  readonly prepare: (connection: PgConnection) => Promise<void>;
}

/** Opens connections with the pool's own class of clients, and prepares them. */
export function connectClients(deps: ClientSourceDeps): Connect {
  const { address, clock, timeoutMs, keepAliveMs, prepare } = deps;
  return async ({ signal }) => {
    signal.throwIfAborted();
    const given = deps.options();
    const hasStream = typeof given['stream'] === 'function';
    const ownSocket = hasStream || given['keepAlive'] !== undefined;
    const socket = ownSocket
      ? undefined
      : keepAliveSocket(Number(given['keepAliveInitialDelayMillis']) || keepAliveMs);
    const stream = socket === undefined ? {} : { stream: () => socket };
    const client = deps.createClient({ ...given, ...stream });
    if (!isPgClient(client)) return refuse(client);
    const connection = new PgConnection(client, address, socket, clock);
    failCompletedCursors(client);
    keepErrorsOfCursors(client);
    tellOutcomes(client);
    // After pg has told the queries of the loss.
    client.connection.once('end', () => process.nextTick(answerWhenLost, client));
    const tlsReply = socket === undefined ? {} : { tlsReply: firstByteOf(socket) };
    try {
      await openConnection({ connection, ...tlsReply }, { clock, timeoutMs, signal });
    } catch (error) {
      throw isSocketMissing(error, address) ? withCode('ECONNREFUSED', error) : error;
    }
    await whileAlive(connection, signal, async () => {
      await prepare(connection);
      await drained(client);
    });
    return connection;
  };
}

function isPgClient(client: unknown): client is Client {
  if (typeof client !== 'object' || client === null || !('connection' in client)) return false;
  const { connection } = client;
  return typeof connection === 'object' && connection !== null && 'stream' in connection;
}

/** @throws the client's own error if it cannot connect, else InvalidOptionError. */
async function refuse(client: unknown): Promise<never> {
  const connects =
    typeof client === 'object' && client !== null && 'connect' in client ? client.connect : null;
  if (typeof connects === 'function') {
    await new Promise<void>((resolve, reject) => {
      Reflect.apply(connects, client, [
        (error: unknown) => (error === undefined || error === null ? resolve() : reject(error)),
      ]);
    });
  }
  throw new InvalidOptionError(OWNER, 'Client', client, "pg's Client or a class derived from it");
}

/** Runs `work` until the connection is lost or the signal aborts, and closes it if it fails. */
function whileAlive(
  connection: PgConnection,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.onLost = (error) =>
      reject(codeOf(error) === undefined ? withCode('CONNECT_CUT', error) : error);
    const release = onAbort(signal, () => connection.destroy());
    const failed = (error: unknown): void => {
      connection.onLost = undefined;
      connection.close();
      reject(new ConnectionRejected(error));
    };
    work().then(resolve, failed).finally(release);
  });
}

/** The Unix socket of a server that is down. */
function isSocketMissing(error: unknown, { host }: Address): boolean {
  return host.startsWith('/') && codeOf(error) === 'ENOENT';
}

/** Without a code of the network the error would be taken for a refusal. */
function withCode(code: string, error: unknown): Error {
  return Object.assign(new Error(errorMessage(error), { cause: error }), { code });
}
