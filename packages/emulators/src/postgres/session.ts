import type { Socket } from 'node:net';
import { type Answered, Answering, type AnsweringHost } from './responder.ts';
import {
  authenticationOk,
  backendKeyData,
  bindComplete,
  type BoundValue,
  cleartextPasswordWanted,
  closeComplete,
  emptyQuery,
  type ErrorFields,
  errorResponse,
  FrontendDecoder,
  type FrontendMessage,
  MalformedMessage,
  noData,
  noEncryption,
  parameterStatus,
  parseComplete,
  readyForQuery,
  type TransactionStatus,
} from '@holdfast/protocols/postgres';
import { type Ending, Outlet } from './response-writer.ts';
import { describeRows, encodeRows } from './row-encoding.ts';
import { statementsIn } from './statements.ts';
import { endsFailure, statusAfter } from './transaction-status.ts';

/** What a server is to its sessions. */
export interface SessionHost extends AnsweringHost {
  readonly password: string | undefined;
  readonly maxMessageBytes: number;
  /** Resolves when the server does not stand still. */
  thawed(): Promise<void>;
  /** Enters a session that has introduced itself; its identity. */
  enter(session: Session, parameters: Readonly<Record<string, string>>): Identity;
  /** Whether there is room for one more that is served. */
  hasRoom(): boolean;
  cancel(processId: number, secret: number): void;
  received(session: Session, sql: string, values: readonly BoundValue[]): void;
  ended(session: Session): void;
}

export interface Identity {
  readonly number: number;
  readonly processId: number;
  readonly secret: number;
}

interface Portal {
  readonly sql: string;
  readonly values: readonly BoundValue[];
  answered: Answered | undefined;
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

export class Session {
  phase: SessionPhase = 'opening';
  identity: Identity | undefined;
  status: TransactionStatus = 'I';
  /** Whether the client has taken its leave in the words of the protocol. */
  terminated = false;
  readonly #socket: Socket;
  readonly #host: SessionHost;
  readonly #outlet: Outlet;
  readonly #decoder: FrontendDecoder;
  readonly #answering: Answering;
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, Portal>();
  readonly #inbox: FrontendMessage[] = [];
  #isReading = false;
  #skipsToSync = false;

  constructor(socket: Socket, host: SessionHost) {
    this.#socket = socket;
    this.#host = host;
    this.#outlet = new Outlet(socket);
    this.#decoder = new FrontendDecoder(host.maxMessageBytes);
    this.#answering = new Answering(host);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.phase = 'ended';
      this.#answering.cancel();
      host.ended(this);
    });
    socket.on('data', (chunk) => this.#receive(chunk));
  }

  /** Cancels the statement under way; without one it does nothing. */
  cancel(): void {
    this.#answering.cancel();
  }

  /** Says why, as a server that is told to stop does, and ends. */
  terminate(sqlState: string, says: string): void {
    if (this.phase === 'ended') return;
    this.#socket.end(errorResponse({ severity: 'FATAL', sqlState, message: says }));
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
      if (!(error instanceof MalformedMessage)) throw error;
      this.terminate('08P01', error.message);
      return;
    }
    if (!this.#isReading) void this.#read();
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    while (true) {
      await this.#host.thawed();
      const message = this.#inbox.shift();
      if (message === undefined || this.phase === 'ended') break;
      if (this.phase === 'serving') await this.#serve(message);
      else if (this.phase !== 'mute') this.#open(message);
    }
    this.#isReading = false;
  }

  #open(message: FrontendMessage): void {
    if (message.kind === 'encryption-request') {
      this.#socket.write(noEncryption);
    } else if (message.kind === 'cancel-request') {
      this.#host.cancel(message.processId, message.secret);
      this.drop('fin');
    } else if (message.kind === 'startup') {
      this.identity = this.#host.enter(this, message.parameters);
      this.#receiveClient();
    } else if (message.kind !== 'password') {
      this.terminate('08P01', `a ${message.kind} does not open a session`);
    } else if (message.password === this.#host.password) {
      this.#welcome();
    } else {
      this.terminate('28P01', 'password authentication failed');
    }
  }

  #receiveClient(): void {
    const { reception } = this.#host.behavior();
    if (typeof reception === 'object') this.terminate(reception.error, 'refused at the start');
    else if (reception === 'silent') this.phase = 'mute';
    else if (reception !== 'serve') this.drop(reception);
    else if (!this.#host.hasRoom()) this.terminate('53300', 'sorry, too many clients already');
    else if (this.#host.password === undefined) this.#welcome();
    else {
      this.phase = 'authenticating';
      this.#socket.write(cleartextPasswordWanted);
    }
  }

  #welcome(): void {
    const { processId = 0, secret = 0 } = this.identity ?? {};
    const isStandby = this.#host.behavior().role === 'standby' ? 'on' : 'off';
    this.phase = 'serving';
    this.#outlet.write(
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
    this.#outlet.complete();
  }

  async #serve(message: FrontendMessage): Promise<void> {
    if (message.kind === 'sync') {
      this.#skipsToSync = false;
      await this.#becomeReady();
      return;
    }
    if (this.#skipsToSync && message.kind !== 'terminate') return;
    switch (message.kind) {
      case 'query':
        for (const sql of statementsIn(message.sql)) {
          const answered = await this.#answer(sql, []);
          if ('rows' in answered) this.#outlet.write(describeRows(answered.rows));
          if (!this.#give(sql, answered)) break;
        }
        await this.#becomeReady();
        break;
      case 'parse':
        this.#statements.set(message.statement, message.sql);
        this.#outlet.write(parseComplete);
        break;
      case 'bind': {
        const sql = this.#statements.get(message.statement);
        if (sql === undefined) this.#refuse('26000', 'the prepared statement does not exist');
        else {
          const { values } = message;
          this.#portals.set(message.portal, { sql, values, answered: undefined });
          this.#outlet.write(bindComplete);
        }
        break;
      }
      case 'describe':
        if (message.of === 'statement') this.#refuse('0A000', 'the fake describes portals only');
        else await this.#describe(message.name);
        break;
      case 'execute':
        await this.#execute(message.portal);
        break;
      case 'close':
        (message.of === 'portal' ? this.#portals : this.#statements).delete(message.name);
        this.#outlet.write(closeComplete);
        break;
      case 'flush':
        this.#outlet.flush();
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
        this.terminate('08P01', `${message.kind} is not understood here`);
    }
  }

  async #describe(name: string): Promise<void> {
    const portal = this.#portals.get(name);
    if (portal === undefined) {
      this.#refuse('34000', 'the portal does not exist');
      return;
    }
    const answered = (portal.answered = await this.#answer(portal.sql, portal.values));
    if ('error' in answered) this.#skipsToSync = !this.#give(portal.sql, answered);
    else this.#outlet.write('rows' in answered ? describeRows(answered.rows) : noData);
  }

  async #execute(name: string): Promise<void> {
    const portal = this.#portals.get(name);
    if (portal === undefined) {
      this.#refuse('34000', 'the portal does not exist');
      return;
    }
    const answered = portal.answered ?? (await this.#answer(portal.sql, portal.values));
    portal.answered = undefined;
    this.#skipsToSync = !this.#give(portal.sql, answered);
  }

  /** Enters the reply in the answer under way; whether the statement has succeeded. */
  #give(sql: string, answered: Answered): boolean {
    if (answered.cutAfterBytes !== undefined) {
      this.#outlet.cutAfter(answered.cutAfterBytes, answered.ending ?? 'fin');
    }
    if ('error' in answered) {
      const { error: sqlState, message = 'as the script says', severity = 'ERROR' } = answered;
      this.#fail({ severity, sqlState, message });
      return false;
    }
    this.status = statusAfter(sql, this.status);
    if ('rows' in answered) this.#outlet.write(...encodeRows(answered.rows, answered.command));
    else this.#outlet.write(...(sql === '' ? [emptyQuery] : encodeRows([], answered.command)));
    return true;
  }

  #refuse(sqlState: string, message: string): void {
    this.#skipsToSync = true;
    this.#fail({ severity: 'ERROR', sqlState, message });
  }

  #fail(error: ErrorFields): void {
    if (this.status === 'T') this.status = 'E';
    this.#outlet.write(errorResponse(error));
    if (error.severity === 'ERROR') return;
    this.#outlet.flush();
    this.drop('fin');
  }

  async #becomeReady(): Promise<void> {
    await this.#host.thawed();
    if (this.phase === 'ended') return;
    this.#outlet.write(readyForQuery(this.status));
    this.#outlet.complete();
  }

  #answer(sql: string, values: readonly BoundValue[]): Promise<Answered> | Answered {
    this.#host.received(this, sql, values);
    if (this.status === 'E' && !endsFailure(sql)) {
      return { error: '25P02', message: 'current transaction is aborted' };
    }
    const { number = 0, processId = 0 } = this.identity ?? {};
    return this.#answering.answer({ sql, values, session: number, processId, status: this.status });
  }
}
