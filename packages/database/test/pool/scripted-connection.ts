import { abortable } from '@holdfast/foundation';
import type { QueryResult } from '../../src/database.ts';
import {
  type Connect,
  type Connection,
  ConnectionFailure,
  type Reply,
  type TransactionStatus,
} from '../../src/connection/connection.ts';

const EMPTY: QueryResult<never> = { rows: [], rowCount: 0, command: '', fields: [] };

/** A connection that replies on command. */
export class ScriptedConnection implements Connection {
  onLost: ((error: unknown) => void) | undefined;
  alive = true;
  status: TransactionStatus = 'I';
  backendPid = 1;
  readonly commands: readonly string[] = [];
  readonly sent: string[] = [];
  cancels = 0;
  /** The effect of a CancelRequest; by default it ends the statement with 57014. */
  onCancel: () => boolean = () => {
    this.refuse('57014');
    return true;
  };
  /** Statements that are answered at once; others wait for `answer` or `refuse`. */
  readonly prompt = new Set<string>(['', 'rollback']);
  closed = false;
  mustClose = false;
  #pending:
    | { resolve: (result: QueryResult<never>) => void; reject: (why: unknown) => void }
    | undefined;

  run(statement: { text: string }): Promise<QueryResult<never>> {
    this.sent.push(statement.text);
    if (!this.alive) return Promise.reject(new ConnectionFailure('lost', new Error('cut'), false));
    if (this.prompt.has(statement.text)) {
      if (statement.text === 'rollback') this.status = 'I';
      return Promise.resolve(EMPTY);
    }
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
    });
  }

  send(statement: { text: string }, reply: Reply<never>): void {
    this.run(statement).then(
      (result) => reply.answered(result),
      (failure: ConnectionFailure) => reply.failed(failure),
    );
  }

  async runFollowedBy(): Promise<never> {
    throw new TypeError('not scripted');
  }

  async pipeline(
    _statements: readonly { readonly text: string }[],
  ): Promise<PromiseSettledResult<QueryResult<never>>[]> {
    throw new TypeError('not scripted');
  }

  async cancel(): Promise<boolean> {
    this.cancels += 1;
    return this.onCancel();
  }

  hold(_holds: boolean): void {
    // There is no socket to hold.
  }

  close(): void {
    this.closed = true;
    this.alive = false;
  }

  destroy(): void {
    this.lose(new Error('cut'));
  }

  answer(status: TransactionStatus = 'I'): void {
    this.status = status;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.resolve(EMPTY);
  }

  refuse(sqlState: string): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(new ConnectionFailure('refused', serverError(sqlState), true));
  }

  lose(error: unknown): void {
    if (!this.alive) return;
    this.alive = false;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(new ConnectionFailure('lost', error, true));
    this.onLost?.(error);
  }
}

/** An error in pg's format. */
export function serverError(sqlState: string): Error {
  return Object.assign(new Error(`error ${sqlState}`), { code: sqlState, severity: 'ERROR' });
}

export function hostError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Connects by script, and keeps the connections. */
export class ScriptedConnector {
  readonly connections: ScriptedConnection[] = [];
  attempts = 0;
  /** The error of the next attempts; `undefined`: they succeed. */
  failure: Error | undefined;
  /** While set, attempts wait for it, or for the signal. */
  gate: Promise<void> | undefined;
  /** Called at each attempt, instead of `failure`. */
  decide: (() => Error | undefined) | undefined;

  readonly connect: Connect = async ({ signal }) => {
    this.attempts += 1;
    if (this.gate !== undefined) await abortable(this.gate, signal);
    const failure = this.decide === undefined ? this.failure : this.decide();
    if (failure !== undefined) throw failure;
    const connection = new ScriptedConnection();
    this.connections.push(connection);
    return connection;
  };
}
