import { type LookupFunction, Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { type Clock, withDeadline } from '@holdfast/foundation';
import { Client, type ClientConfig } from 'pg';
import type { Address } from '../address/address.ts';
import { resolvePassword, useLookup } from './connect-callbacks.ts';
import type { Connection } from './connection.ts';
import { PgConnection } from './pg-connection.ts';
import { connectError } from './sql-state.ts';

interface PgConnectionDeps {
  readonly address: Address;
  readonly password: string | (() => string | Promise<string>) | undefined;
  readonly ssl: boolean | ConnectionOptions | undefined;
  readonly lookup?: LookupFunction | undefined;
  readonly applicationName: string | undefined;
  readonly connectTimeoutMs: number | undefined;
  readonly keepAliveMs: number;
  readonly clock: Clock;
}

const CONNECT_TIMEOUT_MS = 2_000;
/** Keepalive probes before TCP drops a silent peer, each a third of the keepalive delay apart. */
const KEEP_ALIVE_PROBES = 3;

/**
 * Connects with pg's own client, which handles the protocol, types, SASL and TLS. The pool decides when a
 * connection is opened, leased and closed.
 */
export async function connectPg(
  options: PgConnectionDeps,
  { signal }: { signal: AbortSignal },
): Promise<Connection> {
  const { address, keepAliveMs, clock } = options;
  const connectTimeoutMs =
    options.connectTimeoutMs ?? address.parameters.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const beganMs = clock.now();
  const { name: host } = address;
  const limits = { host, timeoutMs: connectTimeoutMs, clock, signal };
  const password = await resolvePassword(options.password, limits);
  const remainingMs = Math.max(1, connectTimeoutMs - (clock.now() - beganMs));
  const socket = keepAliveSocket(keepAliveMs);
  if (options.lookup !== undefined) useLookup(socket, options.lookup, host);
  const client = new Client({
    ...clientConfig(options, password),
    pipeline: true,
    stream: () => socket,
  });
  const connection = new PgConnection(client, address, socket, clock);
  const binding = watchChannelBinding(client, address);
  const tlsReply = firstByteOf(socket);
  return openConnection(
    { connection, tlsReply, binding },
    { clock, timeoutMs: remainingMs, ofMs: connectTimeoutMs, signal },
  );
}

interface StartUpLimits {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** The whole limit, for the error, if a part of it has passed. */
  readonly ofMs?: number;
  readonly signal: AbortSignal;
}

/**
 * Connects the client of a connection.
 * @throws the original error; coded `CONNECT_TIMEOUT` after `timeoutMs`, `CONNECT_CUT` when the server hung up.
 */
export function openConnection(
  startUp: StartUp,
  { clock, timeoutMs, ofMs = timeoutMs, signal }: StartUpLimits,
): Promise<PgConnection> {
  const tooLate = (): Error => connectError('CONNECT_TIMEOUT', `no session within ${ofMs} ms`);
  return withDeadline(clock, timeoutMs, signal, tooLate, (within) => connect(startUp, within));
}

/** An ErrorResponse in reply to SSLRequest: the server cannot even start a process for the connection. */
const ERROR_RESPONSE = 'E'.charCodeAt(0);

/** The first byte that the server sends, as soon as it has. */
export function firstByteOf(socket: Socket): () => number | undefined {
  let first: number | undefined;
  socket.once('data', (chunk: Buffer) => void (first = chunk[0]));
  return () => first;
}

interface StartUp {
  readonly connection: PgConnection;
  readonly tlsReply?: () => number | undefined;
  readonly binding?: ChannelBinding;
}

function connect(
  { connection, tlsReply, binding }: StartUp,
  signal: AbortSignal,
): Promise<PgConnection> {
  const { client } = connection;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      connection.onLost = undefined;
      connection.destroy();
      reject(error);
    };
    signal.addEventListener('abort', () => fail(signal.reason), { once: true });
    connection.onLost = fail;
    client.connect((error: Error | null) => {
      if (error === null || error === undefined) {
        if (binding?.isMissing === true) fail(noChannelBinding());
        else resolve(connection.opened());
        return;
      }
      // A server that closed the socket leaves only a closed stream; errors raised by pg itself come earlier.
      const isCoded = 'code' in error;
      if (binding?.isRefused === true) {
        fail(noChannelBinding());
        return;
      }
      if (!isCoded && client.ssl && tlsReply?.() === ERROR_RESPONSE) {
        fail(
          connectError(
            'CONNECT_NO_TLS_NOW',
            'the server answered the request for TLS with an error',
          ),
        );
        return;
      }
      const wasCut = !isCoded && client.connection.stream.closed;
      fail(wasCut ? connectError('CONNECT_CUT', 'the server hung up during start-up') : error);
    });
  });
}

/** Options win over the URL; what neither says is left to pg, which reads its environment variables. */
export function clientConfig(
  { address, ssl, applicationName }: Pick<PgConnectionDeps, 'address' | 'ssl' | 'applicationName'>,
  password: string | undefined,
): ClientConfig {
  const { parameters, tls } = address;
  const config = {
    host: address.host,
    port: address.port,
    user: address.user,
    database: address.database,
    password: password ?? address.password,
    ssl: ssl ?? tls?.(),
    application_name: applicationName ?? parameters.applicationName,
    fallback_application_name: parameters.fallbackApplicationName ?? 'holdfast',
    options: parameters.options,
    statement_timeout: parameters.statementTimeoutMs,
    lock_timeout: parameters.lockTimeoutMs,
    idle_in_transaction_session_timeout: parameters.idleInTransactionSessionTimeoutMs,
    sslnegotiation: parameters.sslNegotiation,
    enableChannelBinding: (parameters.channelBinding ?? 'disable') !== 'disable',
  };
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}

interface ChannelBinding {
  /** It is required, and the server has not agreed to it. */
  isMissing: boolean;
  /** The server asked for the password in another way, so the connection was cut. */
  isRefused: boolean;
}

/** With `channel_binding=require` the password is sent in no other way. */
function watchChannelBinding(client: Client, { parameters }: Address): ChannelBinding {
  const binding = { isMissing: parameters.channelBinding === 'require', isRefused: false };
  if (!binding.isMissing) return binding;
  const { connection } = client;
  const refuse = (): void => {
    binding.isRefused = true;
    connection.stream.destroy();
  };
  connection.prependListener('authenticationSASL', (message: unknown) => {
    const mechanisms: unknown = Reflect.get(Object(message), 'mechanisms');
    binding.isMissing = !Array.isArray(mechanisms) || !mechanisms.includes('SCRAM-SHA-256-PLUS');
    if (binding.isMissing) refuse();
  });
  connection.prependListener('authenticationCleartextPassword', refuse);
  connection.prependListener('authenticationMD5Password', refuse);
  return binding;
}

function noChannelBinding(): Error {
  return connectError(
    'NO_CHANNEL_BINDING',
    'the server does not offer the channel binding required',
  );
}

export function keepAliveSocket(keepAliveMs: number): Socket {
  const socket = new Socket();
  socket.once('connect', () => {
    // Node 24 and later use the interval and number of probes; earlier versions ignore them.
    const probing = [
      true,
      keepAliveMs,
      Math.ceil(keepAliveMs / KEEP_ALIVE_PROBES),
      KEEP_ALIVE_PROBES,
    ];
    Reflect.apply(socket.setKeepAlive.bind(socket), undefined, probing);
  });
  return socket;
}
