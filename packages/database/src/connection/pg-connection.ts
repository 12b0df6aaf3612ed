import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { type Clock, abortable, withDeadline } from '@holdfast/foundation';
import { Client, type QueryResultRow } from 'pg';
import type { Address } from '../address.ts';
import type { QueryResult, Statement } from '../database.ts';
import { sendCancel } from './cancel-request.ts';
import {
  type Exchange,
  PipelinedExchange,
  FollowedExchange,
  SingleExchange,
  type PgCallback,
} from './exchange.ts';
import {
  type Connection,
  ConnectionFailure,
  type FollowedResult,
  type Reply,
  type TransactionStatus,
} from './connection.ts';

interface PgConnectionDeps {
  readonly address: Address;
  readonly password: string | (() => string | Promise<string>) | undefined;
  readonly ssl: boolean | ConnectionOptions | undefined;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly clock: Clock;
}

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
  const { address, ssl, applicationName, keepAliveMs, connectTimeoutMs, clock } = options;
  const beganMs = clock.now();
  const password = await resolvePassword(options, signal);
  const remainingMs = Math.max(1, connectTimeoutMs - (clock.now() - beganMs));
  const socket = keepAliveSocket(keepAliveMs);
  const client = new Client({
    connectionString: connectionString(address, password, ssl !== undefined),
    ...(ssl === undefined ? {} : { ssl }),
    fallback_application_name: applicationName,
    pipeline: true,
    stream: () => socket,
  });
  const connection = new PgConnection(client, address, socket, clock);
  const tooLate = (): Error => connectTimeout(connectTimeoutMs, 'no session');
  return withDeadline(clock, remainingMs, signal, tooLate, (within) =>
    connect(client, connection, within),
  );
}

function connect(
  client: Client,
  connection: PgConnection,
  signal: AbortSignal,
): Promise<Connection> {
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
        resolve(connection.opened());
        return;
      }
      // A server that closed the socket leaves only a closed stream; errors raised by pg itself come earlier.
      const wasCut = !('code' in error) && client.connection.stream.closed;
      fail(wasCut ? coded('CONNECT_CUT', 'the server hung up during start-up') : error);
    });
  });
}

/** A password function has the connect timeout as its limit. */
async function resolvePassword(
  { password, connectTimeoutMs, clock }: PgConnectionDeps,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  if (typeof password !== 'function') return password;
  const tooLate = (): Error => connectTimeout(connectTimeoutMs, 'no password');
  return withDeadline(clock, connectTimeoutMs, signal, tooLate, async (within) => {
    const given = await abortable((async () => password())(), within);
    if (typeof given === 'string') return given;
    throw new TypeError('the password function did not return a string');
  });
}

function connectTimeout(timeoutMs: number, missing: string): Error {
  return coded('CONNECT_TIMEOUT', `${missing} within ${timeoutMs} ms`);
}

function connectionString(address: Address, password: string | undefined, ownTls: boolean): string {
  if (password === undefined && !ownTls) return address.url;
  const url = new URL(address.url);
  if (password !== undefined) url.password = encodeURIComponent(password);
  if (ownTls) url.searchParams.delete('sslmode');
  return url.href;
}

function keepAliveSocket(keepAliveMs: number): Socket {
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

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Shared: pg never writes to it, it copies the values. */
const NO_VALUES: unknown[] = [];

class PgConnection implements Connection {
  onLost: ((error: unknown) => void) | undefined;
  alive = true;
  backendPid = 0;
  readonly #client: Client;
  readonly #address: Address;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #prepared = new Map<string, string>();
  #secretKey = 0;
  #holds = true;
  #exchange: Exchange | undefined;
  #commands: string[] = [];

  constructor(client: Client, address: Address, socket: Socket, clock: Clock) {
    this.#client = client;
    this.#address = address;
    this.#socket = socket;
    this.#clock = clock;
    client.on('error', (error) => this.#lost(error));
    client.on('end', () => this.#lost(coded('CONNECT_CUT', 'the server hung up')));
    client.connection.on('backendKeyData', (key: unknown) => this.#storeKey(key));
  }

  /** Start-up is complete: begins to track replies. */
  opened(): this {
    this.onLost = undefined;
    const { connection } = this.#client;
    connection.on('commandComplete', (message: unknown) => this.#addCommand(message));
    connection.on('readyForQuery', () => this.#ready());
    return this;
  }

  get status(): TransactionStatus {
    return this.#client.getTransactionStatus() ?? 'I';
  }

  get commands(): readonly string[] {
    return this.#commands;
  }

  send<Row extends QueryResultRow>(statement: Statement, reply: Reply<Row>): void {
    const exchange = new SingleExchange(reply);
    if (!this.#begin(exchange) || this.#rejectNameConflict(statement, exchange)) return;
    this.#submit(statement, exchange.take);
  }

  run<Row extends QueryResultRow>(statement: Statement): Promise<QueryResult<Row>> {
    return new Promise((answered, failed) => this.send<Row>(statement, { answered, failed }));
  }

  runFollowedBy<Row extends QueryResultRow>(
    statement: Statement,
    next: Statement,
  ): Promise<FollowedResult<Row>> {
    return new Promise((resolve, reject) => {
      const exchange = new FollowedExchange<Row>(resolve, reject);
      if (!this.#begin(exchange) || this.#rejectNameConflict(statement, exchange)) return;
      const { stream } = this.#client.connection;
      stream.cork();
      this.#submit(statement, exchange.takeFirst);
      this.#submit(next, exchange.takeNext);
      stream.uncork();
    });
  }

  pipeline(statements: readonly Statement[]): Promise<PromiseSettledResult<QueryResult>[]> {
    return new Promise((resolve) => {
      const exchange = new PipelinedExchange(statements.length, resolve);
      if (!this.#begin(exchange)) return;
      const { stream } = this.#client.connection;
      stream.cork();
      for (const [at, statement] of statements.entries()) {
        const conflict = this.#nameConflict(statement);
        if (conflict === undefined) this.#submit(statement, exchange.callbackAt(at));
        else exchange.refuse(at, conflict);
      }
      stream.uncork();
      if (exchange.pending === 0) this.#end(exchange);
    });
  }

  cancel(timeoutMs: number): Promise<boolean> {
    // A name may resolve to several servers, and only this one knows the key.
    const host = this.#socket.remoteAddress ?? this.#address.host;
    const { port } = this.#address;
    const key = { host, port, processId: this.backendPid, secretKey: this.#secretKey };
    return sendCancel(key, this.#clock, timeoutMs);
  }

  hold(holds: boolean): void {
    if (holds === this.#holds) return;
    this.#holds = holds;
    const { stream } = this.#client.connection;
    if ('ref' in stream && typeof stream.ref === 'function' && holds) stream.ref();
    if ('unref' in stream && typeof stream.unref === 'function' && !holds) stream.unref();
  }

  close(): void {
    if (!this.alive) return;
    this.alive = false;
    const { connection } = this.#client;
    connection.end();
    // The kernel has Terminate by then; a peer that does not react is not waited for.
    connection.stream.once('finish', () => connection.stream.destroy());
  }

  destroy(): void {
    this.#lost(coded('CONNECT_CUT', 'the connection was cut'));
  }

  #begin(exchange: Exchange): boolean {
    // Detected before the socket's event: the pool must know, or it would hand out this connection again.
    if (!this.#client.connection.stream.writable)
      this.#lost(coded('EPIPE', 'the connection was lost'));
    if (!this.alive) {
      exchange.done(
        new ConnectionFailure('lost', coded('EPIPE', 'the connection was lost before'), false),
      );
      return false;
    }
    if (this.#commands.length > 0) this.#commands = [];
    this.#exchange = exchange;
    return true;
  }

  #submit<Row extends QueryResultRow>(statement: Statement, take: PgCallback<Row>): void {
    const { text, values, name, rowMode, types } = statement;
    const bound = values === undefined ? NO_VALUES : [...values];
    // pg copies a config object property by property, which costs a tenth of a query.
    if (name === undefined && rowMode === undefined && types === undefined) {
      this.#client.query<Row>(text, bound, take);
      return;
    }
    const config = {
      text,
      values: bound,
      ...(name === undefined ? {} : { name }),
      ...(rowMode === undefined ? {} : { rowMode }),
      ...(types === undefined ? {} : { types }),
    };
    this.#client.query<Row>(config, take);
  }

  #rejectNameConflict(statement: Statement, exchange: Exchange): boolean {
    const conflict = this.#nameConflict(statement);
    if (conflict === undefined) return false;
    this.#exchange = undefined;
    exchange.done(conflict);
    return true;
  }

  /** pg would reject it too, but without a reply to wait for. */
  #nameConflict({ name, text }: Statement): ConnectionFailure | undefined {
    if (name === undefined) return undefined;
    const prepared = this.#prepared.get(name);
    if (prepared === undefined) this.#prepared.set(name, text);
    if (prepared === undefined || prepared === text) return undefined;
    const why = new TypeError(`the name ${name} is in use for another statement`);
    return new ConnectionFailure('refused', why, false);
  }

  #ready(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    exchange.pending -= 1;
    if (exchange.pending === 0) this.#end(exchange);
  }

  #end(exchange: Exchange): void {
    this.#exchange = undefined;
    const { error } = exchange;
    if (error === undefined) exchange.done(undefined);
    else exchange.done(new ConnectionFailure('refused', error, true, this.#commands));
  }

  #lost(error: unknown): void {
    if (!this.alive) return;
    this.alive = false;
    this.#client.connection.stream.destroy();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    const { onLost } = this;
    const why = exchange?.error ?? error;
    exchange?.done(new ConnectionFailure('lost', why, true, this.#commands));
    onLost?.(why);
  }

  #addCommand(message: unknown): void {
    if (typeof message !== 'object' || message === null || !('text' in message)) return;
    this.#commands.push(String(message.text));
  }

  #storeKey(key: unknown): void {
    if (typeof key !== 'object' || key === null) return;
    if ('processID' in key && typeof key.processID === 'number') this.backendPid = key.processID;
    if ('secretKey' in key && typeof key.secretKey === 'number') this.#secretKey = key.secretKey;
  }
}
