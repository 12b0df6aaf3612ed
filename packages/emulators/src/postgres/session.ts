import type { Socket } from 'node:net';
import { type FinalReply, Responder, type ResponderDeps } from './responder.ts';
import { ProtocolError } from '@holdfast/protocols';
import {
  authenticationOk,
  backendKeyData,
  bindComplete,
  type BoundValue,
  cleartextPasswordRequest,
  closeComplete,
  emptyQuery,
  type ErrorFields,
  errorResponse,
  FrontendDecoder,
  type FrontendMessage,
  noData,
  noEncryption,
  parameterStatus,
  parseComplete,
  readyForQuery,
  type TransactionIndicator,
} from '@holdfast/protocols/postgres';
import { type Ending, ResponseWriter } from './response-writer.ts';
import { describeRows, encodeRows } from './row-encoding.ts';
import { statementsIn } from './statements.ts';
import { endsFailure, statusAfter } from './transaction-status.ts';

/** The server, as its sessions use it. */
export interface SessionDeps extends ResponderDeps {
  readonly password: string | undefined;
  readonly maxMessageBytes: number;
  /** Resolves while the server is not frozen. */
  untilResumed(): Promise<void>;
  /** Registers a session after its start-up packet and returns its identity. */
  register(session: FakeSession, parameters: Readonly<Record<string, string>>): Identity;
  /** Whether another session may be served. */
  hasRoom(): boolean;
  cancel(processId: number, secret: number): void;
  received(session: FakeSession, sql: string, values: readonly BoundValue[]): void;
  ended(session: FakeSession): void;
}

export interface Identity {
  readonly number: number;
  readonly processId: number;
  readonly secret: number;
}

interface Portal {
  readonly sql: string;
  readonly values: readonly BoundValue[];
  reply: FinalReply | undefined;
}

/**
 * One connection, from accept to its end. Messages are handled one after the other, as a backend does.
 *
 *   opening ──startup──▶ authenticating ──password──▶ serving ──▶ ended
 *      │                                                 ▲
 *      ├──startup, no password wanted────────────────────┘
 *      └──startup, but it is not to be served──▶ mute, or ended
 */
export type SessionPhase = 'opening' | 'authenticating' | 'serving' | 'mute' | 'ended';

export class FakeSession {
  phase: SessionPhase = 'opening';
  identity: Identity | undefined;
  status: TransactionIndicator = 'I';
  /** Whether the client has sent Terminate. */
  terminated = false;
  readonly #socket: Socket;
  readonly #deps: SessionDeps;
  readonly #writer: ResponseWriter;
  readonly #decoder: FrontendDecoder;
  readonly #responder: Responder;
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, Portal>();
  readonly #inbox: FrontendMessage[] = [];
  #isReading = false;
  #skipsToSync = false;

  constructor(socket: Socket, deps: SessionDeps) {
    this.#socket = socket;
    this.#deps = deps;
    this.#writer = new ResponseWriter(socket);
    this.#decoder = new FrontendDecoder(deps.maxMessageBytes);
    this.#responder = new Responder(deps);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.phase = 'ended';
      this.#responder.cancel();
      deps.ended(this);
    });
    socket.on('data', (chunk) => this.#receive(chunk));
  }

  /** Cancels the statement under way, if any. */
  cancel(): void {
    this.#responder.cancel();
  }

  /** Sends a FATAL error and closes the connection. */
  abort(sqlState: string, message: string): void {
    if (this.phase === 'ended') return;
    this.#socket.end(errorResponse({ severity: 'FATAL', sqlState, message }));
    this.phase = 'ended';
  }

  drop(ending: Ending): void {
    this.phase = 'ended';
    if (ending === 'reset') this.#socket.resetAndDestroy();
    else this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Uint8Array): void {
    try {
      this.#inbox.push(...this.#decoder.push(chunk));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.abort('08P01', error.message);
      return;
    }
    if (!this.#isReading) void this.#read();
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    while (true) {
      await this.#deps.untilResumed();
      const message = this.#inbox.shift();
      if (message === undefined || this.phase === 'ended') break;
      if (this.phase === 'serving') await this.#serve(message);
      else if (this.phase !== 'mute') this.#startUp(message);
    }
    this.#isReading = false;
  }

  #startUp(message: FrontendMessage): void {
    if (message.kind === 'encryption-request') {
      this.#socket.write(noEncryption);
    } else if (message.kind === 'cancel-request') {
      this.#deps.cancel(message.processId, message.secret);
      this.drop('fin');
    } else if (message.kind === 'startup') {
      this.identity = this.#deps.register(this, message.parameters);
      this.#acceptStartup();
    } else if (message.kind !== 'password') {
      this.abort('08P01', `a ${message.kind} does not open a session`);
    } else if (message.password === this.#deps.password) {
      this.#startServing();
    } else {
      this.abort('28P01', 'password authentication failed');
    }
  }

  #acceptStartup(): void {
    const { reception } = this.#deps.behavior;
    if (typeof reception === 'object') this.abort(reception.error, 'refused at the start');
    else if (reception === 'silent') this.phase = 'mute';
    else if (reception !== 'serve') this.drop(reception);
    else if (!this.#deps.hasRoom()) this.abort('53300', 'sorry, too many clients already');
    else if (this.#deps.password === undefined) this.#startServing();
    else {
      this.phase = 'authenticating';
      this.#socket.write(cleartextPasswordRequest);
    }
  }

  #startServing(): void {
    const { processId = 0, secret = 0 } = this.identity ?? {};
    const isStandby = this.#deps.behavior.role === 'standby' ? 'on' : 'off';
    this.phase = 'serving';
    this.#writer.write(
      authenticationOk,
      parameterStatus('server_version', '18.0'),
      parameterStatus('server_encoding', 'UTF8'),
      parameterStatus('client_encoding', 'UTF8'),
      parameterStatus('DateStyle', 'ISO, MDY'),
      parameterStatus('standard_conforming_strings', 'on'),
      parameterStatus('in_hot_standby', isStandby),
      parameterStatus('default_transaction_read_only', 'off'),
      backendKeyData(processId, secret),
      readyForQuery('I'),
    );
    this.#writer.complete();
  }

  async #serve(message: FrontendMessage): Promise<void> {
    if (message.kind === 'sync') {
      this.#skipsToSync = false;
      await this.#sendReady();
      return;
    }
    if (this.#skipsToSync && message.kind !== 'terminate') return;
    switch (message.kind) {
      case 'query':
        for (const sql of statementsIn(message.sql)) {
          const reply = await this.#replyTo(sql, []);
          if ('rows' in reply) this.#writer.write(describeRows(reply.rows));
          if (!this.#write(sql, reply)) break;
        }
        await this.#sendReady();
        break;
      case 'parse':
        this.#statements.set(message.statement, message.sql);
        this.#writer.write(parseComplete);
        break;
      case 'bind': {
        const sql = this.#statements.get(message.statement);
        if (sql === undefined) this.#reject('26000', 'the prepared statement does not exist');
        else {
          const { values } = message;
          this.#portals.set(message.portal, { sql, values, reply: undefined });
          this.#writer.write(bindComplete);
        }
        break;
      }
      case 'describe':
        if (message.of === 'statement') this.#reject('0A000', 'the fake describes portals only');
        else await this.#describe(message.name);
        break;
      case 'execute':
        await this.#execute(message.portal);
        break;
      case 'close':
        (message.of === 'portal' ? this.#portals : this.#statements).delete(message.name);
        this.#writer.write(closeComplete);
        break;
      case 'flush':
        this.#writer.flush();
        break;
      case 'terminate':
        this.terminated = true;
        this.drop('fin');
        break;
      case 'encryption-request':
      case 'cancel-request':
      case 'startup':
      case 'password':
      case 'unknown':
        this.abort('08P01', `${message.kind} is not understood here`);
    }
  }

  async #describe(name: string): Promise<void> {
    const portal = this.#portals.get(name);
    if (portal === undefined) {
      this.#reject('34000', 'the portal does not exist');
      return;
    }
    const reply = (portal.reply = await this.#replyTo(portal.sql, portal.values));
    if ('error' in reply) this.#skipsToSync = !this.#write(portal.sql, reply);
    else this.#writer.write('rows' in reply ? describeRows(reply.rows) : noData);
  }

  async #execute(name: string): Promise<void> {
    const portal = this.#portals.get(name);
    if (portal === undefined) {
      this.#reject('34000', 'the portal does not exist');
      return;
    }
    const reply = portal.reply ?? (await this.#replyTo(portal.sql, portal.values));
    portal.reply = undefined;
    this.#skipsToSync = !this.#write(portal.sql, reply);
  }

  /** Writes the reply to the current response. @returns whether the statement has succeeded. */
  #write(sql: string, reply: FinalReply): boolean {
    if (reply.cutAfterBytes !== undefined) {
      this.#writer.cutAfter(reply.cutAfterBytes, reply.ending ?? 'fin');
    }
    if ('error' in reply) {
      const { error: sqlState, message = 'as the script says', severity = 'ERROR' } = reply;
      this.#fail({ severity, sqlState, message });
      return false;
    }
    this.status = statusAfter(sql, this.status);
    if ('rows' in reply) this.#writer.write(...encodeRows(reply.rows, reply.command));
    else this.#writer.write(...(sql === '' ? [emptyQuery] : encodeRows([], reply.command)));
    return true;
  }

  #reject(sqlState: string, message: string): void {
    this.#skipsToSync = true;
    this.#fail({ severity: 'ERROR', sqlState, message });
  }

  #fail(error: ErrorFields): void {
    if (this.status === 'T') this.status = 'E';
    this.#writer.write(errorResponse(error));
    if (error.severity === 'ERROR') return;
    this.#writer.flush();
    this.drop('fin');
  }

  async #sendReady(): Promise<void> {
    await this.#deps.untilResumed();
    if (this.phase === 'ended') return;
    this.#writer.write(readyForQuery(this.status));
    this.#writer.complete();
  }

  #replyTo(sql: string, values: readonly BoundValue[]): Promise<FinalReply> | FinalReply {
    this.#deps.received(this, sql, values);
    if (this.status === 'E' && !endsFailure(sql)) {
      return { error: '25P02', message: 'current transaction is aborted' };
    }
    const { number = 0, processId = 0 } = this.identity ?? {};
    return this.#responder.replyTo({
      sql,
      values,
      session: number,
      processId,
      status: this.status,
    });
  }
}
