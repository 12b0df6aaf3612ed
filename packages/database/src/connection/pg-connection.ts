import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { type Clock, sleep } from '@holdfast/foundation';
import { Client, type QueryResultRow } from 'pg';
import type { Address } from '../address.ts';
import type { QueryResult, Statement } from '../database.ts';
import { sendCancel } from './cancel-request.ts';
import {
  type Exchange,
  PipelinedExchange,
  type Placed,
  PlacedExchange,
  SingleExchange,
  type Taker,
} from './exchange.ts';
import { type Link, LinkFailure, type Reply, type TransactionStatus } from './connection.ts';

export interface PgLinkOptions {
  readonly address: Address;
  readonly password: string | (() => string | Promise<string>) | undefined;
  readonly ssl: boolean | ConnectionOptions | undefined;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly clock: Clock;
}

/** How often a silent peer is asked before TCP gives it up, each a third of the keepalive delay apart. */
const KEEP_ALIVE_PROBES = 3;

/**
 * Connects by pg's own client: protocol, types, SASL and TLS are its business; when a connection is made,
 * lent and cut is not.
 */
export async function connectPg(
  options: PgLinkOptions,
  { signal }: { signal: AbortSignal },
): Promise<Link> {
  const { address, ssl, applicationName, keepAliveMs, connectTimeoutMs, clock } = options;
  const beganMs = clock.now();
  const password = await passwordOf(options, signal);
  const remainingMs = Math.max(1, connectTimeoutMs - (clock.now() - beganMs));
  const socket = keptAlive(keepAliveMs);
  const client = new Client({
    connectionString: connectionString(address, password, ssl !== undefined),
    ...(ssl === undefined ? {} : { ssl }),
    fallback_application_name: applicationName,
    pipeline: true,
    stream: () => socket,
  });
  const link = new PgLink(client, address, socket, clock);
  return new Promise((resolve, reject) => {
    const settle = (how: () => void): void => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      how();
    };
    const give = (error: unknown): void => {
      link.onLost = undefined;
      link.destroy();
      settle(() => reject(error));
    };
    const onAbort = (): void => give(signal.reason);
    const timer = clock.schedule(remainingMs, () => give(tooLate(connectTimeoutMs, 'no session')));
    signal.addEventListener('abort', onAbort, { once: true });
    link.onLost = give;
    client.connect((error: Error | null) => {
      if (error === null || error === undefined) {
        settle(() => resolve(link.opened()));
        return;
      }
      // Only a server that hung up leaves nothing but a closed stream; refusals of pg's own come before.
      const cut = !('code' in error) && client.connection.stream.closed;
      give(cut ? coded('CONNECT_CUT', 'the server hung up during start-up') : error);
    });
  });
}

/** Who gives it may be as slow as any server, and is given as long. */
async function passwordOf(
  { password, connectTimeoutMs, clock }: PgLinkOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  if (typeof password !== 'function') return password;
  const settled = new AbortController();
  const either = AbortSignal.any([signal, settled.signal]);
  const late = sleep(clock, connectTimeoutMs, either).then(() => {
    throw tooLate(connectTimeoutMs, 'no password');
  });
  try {
    const given = await Promise.race([(async () => password())(), late]);
    if (typeof given === 'string') return given;
    throw new TypeError('the function that is asked for the password gave no string');
  } finally {
    settled.abort();
  }
}

function tooLate(timeoutMs: number, missing: string): Error {
  return coded('CONNECT_TIMEOUT', `${missing} within ${timeoutMs} ms`);
}

function connectionString(address: Address, password: string | undefined, ownTls: boolean): string {
  if (password === undefined && !ownTls) return address.url;
  const url = new URL(address.url);
  if (password !== undefined) url.password = encodeURIComponent(password);
  if (ownTls) url.searchParams.delete('sslmode');
  return url.href;
}

function keptAlive(keepAliveMs: number): Socket {
  const socket = new Socket();
  socket.once('connect', () => {
    // Interval and number of probes are taken by Node 24 and later, and ignored before.
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

/** Never written to by pg: it maps values into a list of its own. */
const NO_VALUES: unknown[] = [];

class PgLink implements Link {
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
    client.connection.on('backendKeyData', (key: unknown) => this.#keep(key));
  }

  /** From here on the wire is listened to. */
  opened(): this {
    this.onLost = undefined;
    const { connection } = this.#client;
    connection.on('commandComplete', (message: unknown) => this.#note(message));
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
    if (!this.#begin(exchange) || this.#refusesName(statement, exchange)) return;
    this.#submit(statement, exchange.take);
  }

  run<Row extends QueryResultRow>(statement: Statement): Promise<QueryResult<Row>> {
    return new Promise((answered, failed) => this.send<Row>(statement, { answered, failed }));
  }

  runThen<Row extends QueryResultRow>(statement: Statement, then: Statement): Promise<Placed<Row>> {
    return new Promise((resolve, reject) => {
      const exchange = new PlacedExchange<Row>(resolve, reject);
      if (!this.#begin(exchange) || this.#refusesName(statement, exchange)) return;
      const { stream } = this.#client.connection;
      stream.cork();
      this.#submit(statement, exchange.takeFirst);
      this.#submit(then, exchange.takeBehind);
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
        const misnamed = this.#misnamed(statement);
        if (misnamed === undefined) this.#submit(statement, exchange.takerAt(at));
        else exchange.refuse(at, misnamed);
      }
      stream.uncork();
      if (exchange.pending === 0) this.#end(exchange);
    });
  }

  cancel(timeoutMs: number): Promise<boolean> {
    // Behind one name there may be many servers, and only this one knows the key.
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
    // The host's kernel has the farewell by then; a peer that does not answer it is not waited for.
    connection.stream.once('finish', () => connection.stream.destroy());
  }

  destroy(): void {
    this.#lost(coded('CONNECT_CUT', 'the link was cut'));
  }

  #begin(exchange: Exchange): boolean {
    // Seen here before the socket says so: the pool must hear of it, or it would lend this link again.
    if (!this.#client.connection.stream.writable) this.#lost(coded('EPIPE', 'the link was lost'));
    if (!this.alive) {
      exchange.done(new LinkFailure('lost', coded('EPIPE', 'the link was lost before'), false));
      return false;
    }
    if (this.#commands.length > 0) this.#commands = [];
    this.#exchange = exchange;
    return true;
  }

  #submit<Row extends QueryResultRow>(statement: Statement, take: Taker<Row>): void {
    const { text, values, name, rowMode, types } = statement;
    const bound = values === undefined ? NO_VALUES : [...values];
    // pg copies an object property by property, which costs a tenth of a query.
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

  #refusesName(statement: Statement, exchange: Exchange): boolean {
    const misnamed = this.#misnamed(statement);
    if (misnamed === undefined) return false;
    this.#exchange = undefined;
    exchange.done(misnamed);
    return true;
  }

  /** pg would refuse it too, but without any reply to wait for. */
  #misnamed({ name, text }: Statement): LinkFailure | undefined {
    if (name === undefined) return undefined;
    const prepared = this.#prepared.get(name);
    if (prepared === undefined) this.#prepared.set(name, text);
    if (prepared === undefined || prepared === text) return undefined;
    const why = new TypeError(`the name ${name} stands for another statement`);
    return new LinkFailure('refused', why, false);
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
    else exchange.done(new LinkFailure('refused', error, true, this.#commands));
  }

  #lost(error: unknown): void {
    if (!this.alive) return;
    this.alive = false;
    this.#client.connection.stream.destroy();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    const { onLost } = this;
    const why = exchange?.error ?? error;
    exchange?.done(new LinkFailure('lost', why, true, this.#commands));
    onLost?.(why);
  }

  #note(message: unknown): void {
    if (typeof message !== 'object' || message === null || !('text' in message)) return;
    this.#commands.push(String(message.text));
  }

  #keep(key: unknown): void {
    if (typeof key !== 'object' || key === null) return;
    if ('processID' in key && typeof key.processID === 'number') this.backendPid = key.processID;
    if ('secretKey' in key && typeof key.secretKey === 'number') this.#secretKey = key.secretKey;
  }
}
