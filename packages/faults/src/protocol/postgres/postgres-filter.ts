import type { ProtocolFilter, ConnectionIo } from '../../proxy/relay.ts';
import { ProtocolError } from '@holdfast/protocols';
import {
  createMessageReader,
  type ErrorFields,
  errorResponse,
  parse,
  type PostgresMessage,
  simpleQuery,
  stringsOf,
} from '@holdfast/protocols/postgres';
import { type SqlStatement, parseStatement } from './sql-statement.ts';

export interface PostgresFilterDeps {
  /** Part of the names that the refusals of this connection are known by. */
  readonly connection: number;
  readonly maxMessageBytes: number;
  /** The refusal of the connection itself. */
  readonly startRefusal: () => ErrorFields | undefined;
  /** The refusal of the statement that has this number on its connection. */
  readonly refusal: (statement: SqlStatement, number: number) => ErrorFields | undefined;
}

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;
const MAX_START_BYTES = 10_000;
const MAX_STATEMENTS = 10_000;
const MAX_PENDING = 1_000;
const NO = Buffer.from('N');

/**
 *             start-up            its refusal
 * starting ─────────────▶ talking ───────────▶ (hung up)
 *     └───────────────────▶ deaf: a request to cancel passes as it is
 */
type Phase = 'starting' | 'talking' | 'deaf';

/**
 * Refuses statements of a session. In place of a struck one the server is sent one that fails for certain,
 * and its error is reworded: so the order of answers, what is skipped until Sync, ReadyForQuery and the
 * state of the transaction are the server's own.
 */
export function createPostgresFilter(
  line: ConnectionIo,
  setting: PostgresFilterDeps,
): ProtocolFilter {
  const { connection, maxMessageBytes } = setting;
  /** The text of each prepared statement, by its name. */
  const prepared = new Map<string, SqlStatement>();
  /** The refusals under way, by the function that does not exist. */
  const pending = new Map<string, ErrorFields>();
  let phase: Phase = 'starting';
  let opening = Buffer.alloc(0);
  let statements = 0;
  let isInTransaction = false;
  /** The tag of a rollback in place of a commit is not for the client. */
  let swallowsTag = false;

  /** Decides for one statement; whether it was struck, and the session goes on. */
  const strike = (
    statement: SqlStatement,
    substitute: (sql: string, name: string) => Buffer,
  ): boolean => {
    statements += 1;
    const isCommit = statement.verb === 'commit' || statement.verb === 'end';
    if (isCommit && !isInTransaction) return false;
    const refusal = setting.refusal(statement, statements);
    if (refusal === undefined) return false;
    if (refusal.severity === 'FATAL') {
      line.closeAfter(errorResponse(refusal));
      return true;
    }
    const name = `holdfast_refuses_${connection}_${statements}`;
    const [oldest] = pending.size < MAX_PENDING ? [] : pending.keys();
    if (oldest !== undefined) pending.delete(oldest);
    pending.set(name, refusal);
    line.toServer(substitute(`select ${name}()`, name));
    return true;
  };

  const onStatement = ({ type, bytes }: PostgresMessage): void => {
    if (type === 'Q') {
      const statement = parseStatement(stringsOf(bytes, 1)[0] ?? '');
      const isCommit = statement.verb === 'commit' || statement.verb === 'end';
      const isStruck = strike(statement, (sql) => simpleQuery(isCommit ? `rollback; ${sql}` : sql));
      if (isStruck) swallowsTag = isCommit;
      else line.toServer(bytes);
    } else if (type === 'P') {
      const [name = '', sql = ''] = stringsOf(bytes, 2);
      const [oldest] = prepared.size < MAX_STATEMENTS ? [] : prepared.keys();
      if (oldest !== undefined) prepared.delete(oldest);
      prepared.set(name, parseStatement(sql));
      line.toServer(bytes);
    } else {
      const statement = prepared.get(stringsOf(bytes, 2)[1] ?? '');
      const isCommit = statement?.verb === 'commit' || statement?.verb === 'end';
      // A failed commit ends its transaction, which here no statement that fails does.
      const isStruck =
        statement !== undefined && !isCommit && strike(statement, (sql, name) => parse(name, sql));
      if (!isStruck) line.toServer(bytes);
    }
  };

  const onAnswer = ({ type, bytes }: PostgresMessage): void => {
    if (type === 'Z') {
      isInTransaction = bytes[5] === 'T'.charCodeAt(0);
      swallowsTag = false;
    }
    if (type === 'C' && swallowsTag) {
      swallowsTag = false;
      return;
    }
    const name = type === 'E' ? /holdfast_refuses_\d+_\d+/.exec(bytes.toString())?.[0] : undefined;
    const refusal = name === undefined ? undefined : pending.get(name);
    if (name !== undefined) pending.delete(name);
    line.toClient(refusal === undefined ? bytes : errorResponse(refusal));
  };

  const readClient = createMessageReader({
    maxMessageBytes,
    isWanted: (type) => type === 'Q' || type === 'P' || type === 'B',
    onMessage: onStatement,
    onPassing: (bytes) => line.toServer(bytes),
  });
  const readServer = createMessageReader({
    maxMessageBytes,
    isWanted: (type) => type === 'E' || type === 'Z' || (type === 'C' && swallowsTag),
    onMessage: onAnswer,
    onPassing: (bytes) => line.toClient(bytes),
  });

  /** Messages before the session have no type. */
  const start = (bytes: Buffer): void => {
    opening = Buffer.concat([opening, bytes]);
    while (phase === 'starting' && opening.length >= 8) {
      const length = opening.readInt32BE(0);
      if (length < 8 || length > MAX_START_BYTES) {
        throw new ProtocolError('Postgres', 'a first message that is no start-up');
      }
      if (opening.length < length) return;
      const code = opening.readInt32BE(4);
      const message = opening.subarray(0, length);
      opening = opening.subarray(length);
      if (code === SSL_REQUEST || code === GSS_REQUEST) {
        line.toClient(NO);
        continue;
      }
      phase = code === CANCEL_REQUEST ? 'deaf' : 'talking';
      const refusal = phase === 'talking' ? setting.startRefusal() : undefined;
      if (refusal === undefined) line.toServer(message);
      else line.closeAfter(errorResponse(refusal));
    }
    if (phase === 'talking' && opening.length > 0) readClient(opening);
  };

  return {
    fromClient(bytes) {
      if (phase === 'starting') start(bytes);
      else if (phase === 'talking') readClient(bytes);
      else line.toServer(bytes);
    },
    fromServer(bytes) {
      if (phase === 'talking') readServer(bytes);
      else line.toClient(bytes);
    },
  };
}
