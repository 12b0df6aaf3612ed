import { ProtocolError } from '@holdfast/protocols';
import {
  CANCEL_REQUEST,
  type ErrorFields,
  GSS_ENCRYPTION_REQUEST,
  HEAD_BYTES,
  MessageReader,
  type PostgresMessage,
  SSL_REQUEST,
  errorResponse,
  noEncryption,
  parse,
  simpleQuery,
  stringsOf,
} from '@holdfast/protocols/postgres';
import type { Exposure } from '../../fault-injector.ts';
import type { ConnectionIo, ProtocolFilter } from '../../proxy/relay.ts';
import { ReadOnlySession } from './read-only-session.ts';
import { type SqlStatement, parseStatement } from './sql-statement.ts';

interface PostgresFilterDeps {
  /** The number of the connection, which makes the names of its substitute statements unique. */
  readonly connection: number;
  readonly maxMessageBytes: number;
  /** Returns the error for the connection itself, or undefined to pass it. */
  readonly startRefusal: () => ErrorFields | undefined;
  /** Returns the error for the statement with this number on its connection, or undefined to pass it. */
  readonly refusalOf: (statement: SqlStatement, number: number) => ErrorFields | undefined;
  /** Whether the server may be asked which statements a read-only one refuses. */
  readonly mayAsk: () => boolean;
  /** Exposes the statements of a request with this number to a read-only transaction of the server, or not. */
  readonly expose: (statements: readonly SqlStatement[], number: number) => Exposure | undefined;
}

const MAX_START_BYTES = 10_000;
const MAX_STATEMENTS = 10_000;
const MAX_PENDING = 1_000;
const IN_TRANSACTION = 'T'.charCodeAt(0);

/**
 *             start-up           FATAL error
 * starting ─────────────▶ session ───────────▶ (closed)
 *     └───────────────────▶ opaque: a cancel request passes unchanged
 */
type Phase = 'starting' | 'session' | 'opaque';

/**
 * Refuses statements of a session. Which ones a read-only server refuses, {@link ReadOnlySession} asks the server. In place of a refused statement the server gets one that is certain to fail, and
 * its error is replaced. So the order of responses, the skipping until Sync, ReadyForQuery and the state of the
 * transaction are the server's own.
 */
export class PostgresFilter implements ProtocolFilter {
  readonly #io: ConnectionIo;
  readonly #deps: PostgresFilterDeps;
  readonly #fromClient: MessageReader;
  readonly #fromServer: MessageReader;
  readonly #session: ReadOnlySession;
  /** The prepared statements by their name. */
  readonly #prepared = new Map<string, SqlStatement>();
  /** The errors to come, by the missing function that the substitute statement calls. */
  readonly #pending = new Map<string, ErrorFields>();
  #phase: Phase = 'starting';
  #startBytes = Buffer.alloc(0);
  #statements = 0;
  #isInTransaction = false;
  /** The command tag of a rollback in place of a commit is not for the client. */
  #dropsTag = false;

  constructor(io: ConnectionIo, deps: PostgresFilterDeps) {
    this.#io = io;
    this.#deps = deps;
    const { connection, maxMessageBytes } = deps;
    this.#session = new ReadOnlySession(connection, {
      maxHeldBytes: maxMessageBytes,
      isSet: deps.mayAsk,
      expose: (statements) => deps.expose(statements, this.#statements + 1),
      prepared: (name) => this.#prepared.get(name),
      pass: (message) => {
        if (!this.#isRefused(message)) io.toServer(message.bytes);
      },
      toServer: (bytes) => io.toServer(bytes),
    });
    this.#fromClient = new MessageReader(maxMessageBytes, (type) => 'QPBDECSHFXcf'.includes(type));
    this.#fromServer = new MessageReader(
      maxMessageBytes,
      (type) =>
        'EZG'.includes(type) ||
        (type === 'C' && this.#dropsTag) ||
        (this.#session.isOwnResponse && 'ANS'.includes(type)),
    );
  }

  fromClient(bytes: Buffer): void {
    if (this.#phase === 'starting') this.#start(bytes);
    else if (this.#phase === 'session') this.#readRequests(bytes);
    else this.#io.toServer(bytes);
  }

  fromServer(bytes: Buffer): void {
    if (this.#phase !== 'session') {
      this.#io.toClient(bytes);
      return;
    }
    for (const segment of this.#fromServer.read(bytes)) {
      if (segment.kind === 'message') {
        if (this.#session.response(segment)) this.#handleResponse(segment);
      } else if (!this.#session.isOwnResponse) {
        this.#io.toClient(segment.bytes);
      }
    }
  }

  /** Reads the messages before the session, which have no type. */
  #start(bytes: Buffer): void {
    this.#startBytes = Buffer.concat([this.#startBytes, bytes]);
    while (this.#phase === 'starting' && this.#startBytes.length >= 8) {
      const length = this.#startBytes.readInt32BE(0);
      if (length < 8 || length > MAX_START_BYTES)
        throw new ProtocolError('Postgres', 'a first message that is not a start-up');
      if (this.#startBytes.length < length) return;
      const code = this.#startBytes.readInt32BE(4);
      const message = this.#startBytes.subarray(0, length);
      this.#startBytes = this.#startBytes.subarray(length);
      if (code === SSL_REQUEST || code === GSS_ENCRYPTION_REQUEST) {
        this.#io.toClient(noEncryption);
        continue;
      }
      this.#phase = code === CANCEL_REQUEST ? 'opaque' : 'session';
      const refusal = this.#phase === 'session' ? this.#deps.startRefusal() : undefined;
      if (refusal === undefined) this.#io.toServer(message);
      else this.#io.closeAfter(errorResponse(refusal));
    }
    if (this.#phase === 'session' && this.#startBytes.length > 0)
      this.#readRequests(this.#startBytes);
  }

  #readRequests(bytes: Buffer): void {
    for (const segment of this.#fromClient.read(bytes)) {
      if (segment.kind === 'message') this.#session.request(segment);
      else this.#session.bytes(segment.bytes);
    }
  }

  /** Returns whether a request was refused, and so must not be sent to the server. */
  #isRefused({ type, bytes }: PostgresMessage): boolean {
    if (type === 'Q') {
      const statement = parseStatement(stringsOf(bytes, 1)[0] ?? '');
      const isEnding = isCommit(statement);
      const isRefused = this.#refuse(statement, (sql) =>
        simpleQuery(isEnding ? `rollback; ${sql}` : sql),
      );
      if (isRefused) this.#dropsTag = isEnding;
      return isRefused;
    }
    if (type === 'P') {
      const [name = '', sql = ''] = stringsOf(bytes, 2);
      dropOldest(this.#prepared, MAX_STATEMENTS);
      this.#prepared.set(name, parseStatement(sql));
      return false;
    }
    if (type !== 'B') return false;
    const statement = this.#prepared.get(stringsOf(bytes, 2)[1] ?? '');
    // A failed commit ends its transaction, which no failing statement does in the extended protocol.
    if (statement === undefined || isCommit(statement)) return false;
    return this.#refuse(statement, (sql, name) => parse(name, sql));
  }

  /** Sends a failing substitute, or closes the session, when the statement is refused. */
  #refuse(statement: SqlStatement, substitute: (sql: string, name: string) => Buffer): boolean {
    this.#statements += 1;
    if (isCommit(statement) && !this.#isInTransaction) return false;
    const refusal = this.#deps.refusalOf(statement, this.#statements);
    if (refusal === undefined) return false;
    if (refusal.severity === 'FATAL') {
      this.#io.closeAfter(errorResponse(refusal));
      return true;
    }
    const name = `holdfast_refuses_${this.#deps.connection}_${this.#statements}`;
    dropOldest(this.#pending, MAX_PENDING);
    this.#pending.set(name, refusal);
    this.#io.toServer(substitute(`select ${name}()`, name));
    return true;
  }

  #handleResponse({ type, bytes }: PostgresMessage): void {
    if (type === 'Z') {
      this.#isInTransaction = bytes[HEAD_BYTES] === IN_TRANSACTION;
      this.#dropsTag = false;
    }
    if (type === 'C' && this.#dropsTag) {
      this.#dropsTag = false;
      return;
    }
    const name = type === 'E' ? /holdfast_refuses_\d+_\d+/.exec(bytes.toString())?.[0] : undefined;
    const refusal = name === undefined ? undefined : this.#pending.get(name);
    if (name !== undefined) this.#pending.delete(name);
    this.#io.toClient(refusal === undefined ? bytes : errorResponse(refusal));
  }
}

function isCommit({ verb }: SqlStatement): boolean {
  return verb === 'commit' || verb === 'end';
}

function dropOldest(entries: Map<string, unknown>, maxEntries: number): void {
  const [oldest] = entries.size < maxEntries ? [] : entries.keys();
  if (oldest !== undefined) entries.delete(oldest);
}
