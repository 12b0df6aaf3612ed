import type { Socket } from 'node:net';
import type { Clock } from '@holdfast/foundation';
import type { Client, QueryResultRow } from 'pg';
import type { Address } from '../address/address.ts';
import type { QueryResult, Statement } from '../database.ts';
import { sendCancel } from './cancel-request.ts';
import { guardParsers } from './guard-parsers.ts';
import { connectError, sqlStateOf } from './sql-state.ts';
import {
  type Exchange,
  PipelinedExchange,
  FollowedExchange,
  SingleExchange,
  refused,
  type PgCallback,
} from './exchange.ts';
import {
  type Connection,
  ConnectionFailure,
  type FollowedResult,
  type PipelinedResult,
  type Reply,
  type TransactionStatus,
} from './connection.ts';

/** No such prepared statement; its result has other columns now. */
const INVALID_PLAN = new Set(['26000', '0A000']);

/** pg's own records, by name: of statements that the server has parsed, and of those sent to it. */
function preparedStatements({ connection }: Client): object[] {
  const records: unknown[] = [
    Reflect.get(connection, 'parsedStatements'),
    Reflect.get(connection, 'submittedNamedStatements'),
  ];
  return records.filter((record) => typeof record === 'object' && record !== null);
}

function forgetPrepared(client: Client): void {
  for (const names of preparedStatements(client)) {
    for (const name of Object.keys(names)) Reflect.deleteProperty(names, name);
  }
}

/** How long a server may take to close a connection that it was told to close. */
const LEAVE_MS = 1_000;
/** Shared: pg never writes to it, it copies the values. */
const NO_VALUES: unknown[] = [];

/** A connection of pg's own client, which handles the protocol, types, SASL and TLS. */
export class PgConnection implements Connection {
  onLost: ((error: unknown) => void) | undefined;
  alive = true;
  mustClose = false;
  backendPid = 0;
  readonly client: Client;
  readonly #address: Address;
  readonly #socket: Socket | undefined;
  /** A client that does not pipeline, as callers of pg's own interface expect, does so for exchanges. */
  readonly #pipelines: boolean;
  readonly #clock: Clock;
  #secretKey = 0;
  #holds = true;
  #exchange: Exchange | undefined;
  #answering: Exchange | undefined;
  readonly #onError = (error: unknown): void => this.#lost(error, true);
  readonly #onEnd = (): void => this.#lost(connectError('CONNECT_CUT', 'the server hung up'));
  #commands: string[] = [];

  /** @param socket `undefined` where the client was given a stream of its own. */
  constructor(client: Client, address: Address, socket: Socket | undefined, clock: Clock) {
    this.client = client;
    this.#pipelines = client.pipeline;
    this.#address = address;
    this.#socket = socket;
    this.#clock = clock;
    this.listen();
    client.connection.on('backendKeyData', (key: unknown) => this.#storeKey(key));
  }

  /** Listens for the loss of the connection; again, where someone has removed all listeners of the client. */
  listen(): void {
    const { client } = this;
    if (!client.listeners('error').includes(this.#onError)) client.on('error', this.#onError);
    if (!client.listeners('end').includes(this.#onEnd)) client.on('end', this.#onEnd);
  }

  /** Start-up is complete: begins to track replies. */
  opened(): this {
    this.onLost = undefined;
    const { connection } = this.client;
    connection.on('commandComplete', (message: unknown) => this.#addCommand(message));
    guardParsers(this.client);
    connection.prependListener('errorMessage', (error: unknown) => {
      if (this.#exchange !== undefined) this.#exchange.refusal = error;
    });
    // An exchange that a listener begins during this event is not the one that it answers.
    connection.prependListener('readyForQuery', () => {
      this.#answering = this.#exchange;
      if (this.#exchange !== undefined) this.#exchange.stage = 'ready';
    });
    connection.on('readyForQuery', () => this.#ready());
    return this;
  }

  get status(): TransactionStatus {
    return this.client.getTransactionStatus() ?? 'I';
  }

  get commands(): readonly string[] {
    return this.#commands;
  }

  send<Row extends QueryResultRow>(statement: Statement, reply: Reply<Row>): void {
    const exchange = new SingleExchange(reply);
    exchange.text = statement.text;
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
      exchange.text = statement.text;
      if (!this.#begin(exchange) || this.#rejectNameConflict(statement, exchange)) return;
      const { stream } = this.client.connection;
      stream.cork();
      this.#submit(statement, exchange.takeFirst);
      this.#submit(next, exchange.takeNext);
      stream.uncork();
    });
  }

  pipeline<Row extends QueryResultRow>(
    statements: readonly Statement[],
  ): Promise<PipelinedResult<Row>[]> {
    return new Promise((resolve) => {
      const exchange = new PipelinedExchange<Row>(statements.length, resolve);
      if (!this.#begin(exchange)) return;
      const { stream } = this.client.connection;
      stream.cork();
      for (const [at, statement] of statements.entries()) {
        const conflict = this.#nameConflict(statement);
        if (conflict === undefined)
          this.#submit(statement, exchange.callbackAt(at, statement.text));
        else exchange.refuse(at, conflict);
      }
      stream.uncork();
      if (exchange.pending === 0) this.#end(exchange);
    });
  }

  cancel(timeoutMs: number): Promise<boolean> {
    // A name may resolve to several servers, and only this one knows the key.
    const host = this.#socket?.remoteAddress ?? this.#address.host;
    const { port } = this.#address;
    const key = { host, port, processId: this.backendPid, secretKey: this.#secretKey };
    return sendCancel(key, this.#clock, timeoutMs);
  }

  hold(holds: boolean): void {
    if (holds === this.#holds) return;
    this.#holds = holds;
    const { stream } = this.client.connection;
    if ('ref' in stream && typeof stream.ref === 'function' && holds) stream.ref();
    if ('unref' in stream && typeof stream.unref === 'function' && !holds) stream.unref();
  }

  close(): void {
    if (!this.alive) return;
    this.alive = false;
    const { connection } = this.client;
    // As pg's own `end` does: the end of the connection is no error of the client then.
    Reflect.set(this.client, '_ending', true);
    connection.end();
    // The kernel has Terminate by then; a peer that does not react is not waited for.
    connection.stream.once('finish', () => connection.stream.destroy());
  }

  destroy(): void {
    this.#lost(connectError('CONNECT_CUT', 'the connection was cut'));
  }

  #begin(exchange: Exchange): boolean {
    // Detected before the socket's event: the pool must know, or it would hand out this connection again.
    if (!this.client.connection.stream.writable)
      this.#lost(connectError('EPIPE', 'the connection was lost'));
    if (!this.alive) {
      exchange.done(
        new ConnectionFailure(
          'lost',
          connectError('EPIPE', 'the connection was lost before'),
          false,
        ),
      );
      return false;
    }
    if (this.#commands.length > 0) this.#commands = [];
    this.#exchange = exchange;
    if (!this.#pipelines) this.#setPipeline(true);
    return true;
  }

  #submit<Row extends QueryResultRow>(statement: Statement, take: PgCallback<Row>): void {
    const { text, values, name, rowMode, types } = statement;
    const bound = values === undefined ? NO_VALUES : [...values];
    const exchange = this.#exchange;
    if (exchange !== undefined) exchange.stage = 'sending';
    // pg copies a config object property by property, which costs a tenth of a query.
    if (name === undefined && rowMode === undefined && types === undefined) {
      this.client.query<Row>(text, bound, take);
      if (exchange !== undefined) exchange.stage = 'waiting';
      return;
    }
    const config = {
      text,
      values: bound,
      ...(name === undefined ? {} : { name }),
      ...(rowMode === undefined ? {} : { rowMode }),
      ...(types === undefined ? {} : { types }),
    };
    if (name === undefined) this.client.query<Row>(config, take);
    else this.client.query<Row>(config, this.#watchingPlan(take));
    if (exchange !== undefined) exchange.stage = 'waiting';
  }

  /** The plan of a prepared statement that was deallocated, or whose tables were altered, is never valid again. */
  #watchingPlan<Row extends QueryResultRow>(take: PgCallback<Row>): PgCallback<Row> {
    return (error, result) => {
      const sqlState = sqlStateOf(error);
      if (sqlState !== undefined && INVALID_PLAN.has(sqlState)) this.mustClose = true;
      take(error, result);
    };
  }

  #rejectNameConflict(statement: Statement, exchange: Exchange): boolean {
    const conflict = this.#nameConflict(statement);
    if (conflict === undefined) return false;
    this.#exchange = undefined;
    if (!this.#pipelines) this.#setPipeline(false);
    exchange.done(conflict);
    return true;
  }

  /** pg would reject it too, but without a reply to wait for. */
  #nameConflict({ name, text }: Statement): ConnectionFailure | undefined {
    if (name === undefined) return undefined;
    const prepared = preparedStatements(this.client).find((names) => Object.hasOwn(names, name));
    if (prepared === undefined || Reflect.get(prepared, name) === text) return undefined;
    const why = new TypeError(`the name ${name} is in use for another statement`);
    return new ConnectionFailure('refused', why, false);
  }

  #ready(): void {
    const exchange = this.#answering;
    if (exchange === undefined || exchange !== this.#exchange) return;
    exchange.stage = 'waiting';
    exchange.refusal = undefined;
    exchange.answered?.(this.status);
    exchange.pending -= 1;
    if (exchange.pending === 0) this.#end(exchange);
  }

  #end(exchange: Exchange): void {
    this.#exchange = undefined;
    if (!this.#pipelines) this.#setPipeline(false);
    const { error, wasSent, text } = exchange;
    const { status } = this;
    if (error === undefined) exchange.done(undefined);
    else exchange.done(refused(error, wasSent, { commands: this.#commands, status, text }));
  }

  /** @param takesLeave tells the server, if it can still be told. */
  #lost(error: unknown, takesLeave = false): void {
    if (!this.alive) return;
    this.alive = false;
    const { connection } = this.client;
    if (takesLeave && connection.stream.writable) this.#takeLeave();
    else connection.stream.destroy();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    const { onLost } = this;
    const why = exchange?.error ?? error;
    exchange?.done(new ConnectionFailure('lost', why, true, this.#commands));
    onLost?.(why);
  }

  #takeLeave(): void {
    const { connection } = this.client;
    this.hold(false);
    connection.end();
    const destroy = (): void => void connection.stream.destroy();
    const timer = this.#clock.schedule(LEAVE_MS, destroy, { holdsProcess: false });
    connection.stream.once('close', () => timer.cancel());
  }

  #setPipeline(pipeline: boolean): void {
    Reflect.set(this.client, 'pipeline', pipeline);
  }

  #addCommand(message: unknown): void {
    if (typeof message !== 'object' || message === null || !('text' in message)) return;
    const tag = String(message.text);
    // Those of queries that are no exchange of this connection would only pile up.
    if (this.#exchange !== undefined) {
      this.#commands.push(tag);
      this.#exchange.tagged?.(tag);
    }
    if (tag === 'DEALLOCATE') this.mustClose = true;
    if (tag === 'DEALLOCATE ALL' || tag === 'DISCARD ALL') forgetPrepared(this.client);
  }

  #storeKey(key: unknown): void {
    if (typeof key !== 'object' || key === null) return;
    if ('processID' in key && typeof key.processID === 'number') this.backendPid = key.processID;
    if ('secretKey' in key && typeof key.secretKey === 'number') this.#secretKey = key.secretKey;
  }
}
