import {
  type PostgresMessage,
  HEAD_BYTES,
  runOnce,
  stringsOf,
  sync,
} from '@holdfast/protocols/postgres';
import type { Exposure } from '../../fault-injector.ts';
import { type SqlStatement, parseStatement } from './sql-statement.ts';

/** The collaborators of {@link ReadOnlySession}. */
interface ReadOnlySessionDeps {
  /** Requests that are held are passed unread beyond this. */
  readonly maxHeldBytes: number;
  /** Whether the fault is set, so that requests are held until the server is ready for them. */
  readonly isSet: () => boolean;
  /** Exposes these statements to the fault, or not. */
  readonly expose: (statements: readonly SqlStatement[]) => Exposure | undefined;
  /** Returns a statement that was prepared before. */
  readonly prepared: (name: string) => SqlStatement | undefined;
  /** Sends a request of the client on. */
  readonly pass: (message: PostgresMessage) => void;
  readonly toServer: (bytes: Buffer) => void;
}

/** A request whose end the server reports by ReadyForQuery; a Sync is ignored while it receives COPY data. */
type Awaited = 'client' | 'clientSync' | 'own';

/** A request that is exposed to the fault, until the server is ready for the next one. */
interface Exposed {
  readonly exposure: Exposure;
  /** The savepoint whose release makes the transaction what it was. */
  readonly savepoint: string | undefined;
  isFelt: boolean;
}

/** Words that end or divide a transaction; a savepoint would not outlive them. */
const dividing: ReadonlySet<string> = new Set(
  'abort begin commit end prepare release rollback savepoint start'.split(' '),
);
const ENDS_PART = 'QFSHX';
const BEFORE = 'holdfast.read_only_before';
const DEFAULT_ON = `select set_config('${BEFORE}', current_setting('default_transaction_read_only'), false), set_config('default_transaction_read_only', 'on', false)`;
const DEFAULT_BACK = `select set_config('default_transaction_read_only', current_setting('${BEFORE}', true), false)`;
const TRANSACTION_ON = "select set_config('transaction_read_only', 'on', true)";

/**
 * Lets the server decide which statements a read-only server refuses: a request that is exposed to the fault runs in a
 * read-only transaction there, and afterwards the session is what it was. What is sent for this, and its responses,
 * the client does not see.
 *
 *   no transaction:  default on   | request | default back
 *   a transaction:   savepoint, transaction on | request | release
 *   a request that ends the transaction itself: transaction on, default on | request | default back
 */
export class ReadOnlySession {
  readonly #deps: ReadOnlySessionDeps;
  readonly #name: string;
  #numbers = 0;
  /** The requests that the server has not answered, in order; the first one is the start-up. */
  readonly #awaited: Awaited[] = ['client'];
  #exposed: Exposed | undefined;
  #status = 'I';
  /** Messages up to one that a client waits after, in order, and the one that is not complete. */
  #parts: PostgresMessage[][] = [];
  #part: PostgresMessage[] = [];
  #heldBytes = 0;
  /** A part of a series was sent, and its Sync was not. */
  #isSeriesOpen = false;
  /** The server receives COPY data, and ignores Sync. */
  #isCopying = false;
  #isDefaultOn = false;

  /** @param connection makes the names of its statements unique. */
  constructor(connection: number, deps: ReadOnlySessionDeps) {
    this.#name = `holdfast_read_only_${connection}`;
    this.#deps = deps;
  }

  /** Whether what the server sends now is not for the client. */
  get isOwnResponse(): boolean {
    return this.#awaited[0] === 'own';
  }

  /** A message of the client. */
  request(message: PostgresMessage): void {
    const isHeld = this.#parts.length > 0 || this.#part.length > 0;
    if (!isHeld && (this.#isCopying || this.#isSeriesOpen || !this.#isWaiting())) {
      this.#pass(message);
      return;
    }
    this.#part.push(message);
    this.#heldBytes += message.bytes.length;
    if (ENDS_PART.includes(message.type)) {
      this.#parts.push(this.#part);
      this.#part = [];
    }
    if (this.#heldBytes > this.#deps.maxHeldBytes) this.#passHeld();
    else this.#proceed();
  }

  /** Bytes of the client that are not read: they pass at once, and everything before them. */
  bytes(bytes: Buffer): void {
    this.#passHeld();
    this.#deps.toServer(bytes);
  }

  /** A message of the server. Returns whether it is for the client. */
  response({ type, bytes }: PostgresMessage): boolean {
    const isOwn = this.isOwnResponse;
    if (type === 'E' && !isOwn && this.#exposed !== undefined && isRefusal(bytes))
      this.#exposed.isFelt = true;
    if (type === 'G') {
      this.#isCopying = true;
      if (this.#awaited[0] === 'clientSync') this.#awaited.shift();
    }
    if (type === 'Z') this.#ready(String.fromCharCode(bytes[HEAD_BYTES] ?? 0));
    // What ends the session, and what others have sent to it, is for the client in any case.
    if (!isOwn || type === 'A' || type === 'N') return true;
    return type === 'E' ? isFatal(bytes) : type === 'S' && !isOwnParameter(bytes);
  }

  #isWaiting(): boolean {
    return (
      this.#deps.isSet() || this.#isDefaultOn || this.#exposed !== undefined || this.isOwnResponse
    );
  }

  #ready(status: string): void {
    this.#status = status;
    this.#isCopying = false;
    if (this.#awaited.shift() !== 'own') this.#endExposure();
    this.#proceed();
  }

  /** Makes the session what it was, as far as the transaction lets it. */
  #endExposure(): void {
    const exposed = this.#exposed;
    this.#exposed = undefined;
    exposed?.exposure.settle(exposed.isFelt);
    if (exposed?.savepoint !== undefined && this.#status === 'T')
      this.#sendOwn(`release savepoint ${exposed.savepoint}`);
    if (this.#status !== 'I' || !this.#isDefaultOn) return;
    this.#isDefaultOn = false;
    this.#sendOwn(DEFAULT_BACK);
  }

  /** Sends the held requests that the server is ready for. */
  #proceed(): void {
    while (this.#awaited.length === 0 || this.#isSeriesOpen) {
      const part = this.#parts.shift();
      if (part === undefined) break;
      for (const { bytes } of part) this.#heldBytes -= bytes.length;
      this.#send(part);
    }
    // The rest of a series follows its beginning.
    if (this.#isSeriesOpen && this.#parts.length === 0) {
      for (const message of this.#part.splice(0)) this.#pass(message);
      this.#heldBytes = 0;
    }
  }

  #send(part: readonly PostgresMessage[]): void {
    if (!this.#isSeriesOpen && this.#status !== 'E') {
      const statements = this.#statementsOf(part);
      const exposure = statements.length === 0 ? undefined : this.#deps.expose(statements);
      if (exposure !== undefined) {
        const savepoint = this.#makeReadOnly(statements);
        this.#exposed = { exposure, savepoint, isFelt: false };
      }
    }
    for (const message of part) this.#pass(message);
  }

  /** Returns the statements that this part runs. */
  #statementsOf(part: readonly PostgresMessage[]): SqlStatement[] {
    const parsed = new Map<string, SqlStatement>();
    const run: SqlStatement[] = [];
    for (const { type, bytes } of part) {
      const [first = '', second = ''] = stringsOf(bytes, type === 'Q' ? 1 : 2);
      const statement = parsed.get(second) ?? this.#deps.prepared(second);
      if (type === 'Q') run.push(parseStatement(first));
      else if (type === 'F') run.push(parseStatement('select function()'));
      else if (type === 'P') parsed.set(first, parseStatement(second));
      else if (type === 'B' && statement !== undefined) run.push(statement);
    }
    // A client that asks for the parameters first binds in the next part.
    if (part.at(-1)?.type === 'H') run.push(...parsed.values());
    return run;
  }

  /** Returns the savepoint that stands before the statements, when there is one. */
  #makeReadOnly(statements: readonly SqlStatement[]): string | undefined {
    const isDividing = statements.some(({ verbs }) => verbs.some((verb) => dividing.has(verb)));
    if (this.#status === 'T' && !isDividing) {
      const savepoint = `${this.#name}_${this.#numbers}`;
      this.#sendOwn(`savepoint ${savepoint}`, TRANSACTION_ON);
      return savepoint;
    }
    this.#isDefaultOn = true;
    if (this.#status === 'T') this.#sendOwn(TRANSACTION_ON, DEFAULT_ON);
    else this.#sendOwn(DEFAULT_ON);
    return undefined;
  }

  #sendOwn(...statements: readonly string[]): void {
    const requests = statements.map((sql) => {
      this.#numbers += 1;
      return runOnce(`${this.#name}_${this.#numbers}`, sql);
    });
    this.#awaited.push('own');
    this.#deps.toServer(Buffer.concat([...requests, sync]));
  }

  #passHeld(): void {
    const held = [...this.#parts.splice(0).flat(), ...this.#part.splice(0)];
    this.#heldBytes = 0;
    for (const message of held) this.#pass(message);
  }

  #pass(message: PostgresMessage): void {
    const { type } = message;
    if (type === 'Q' || type === 'F') this.#awaited.push('client');
    if (type === 'S' && !this.#isCopying) this.#awaited.push('clientSync');
    if (type === 'c' || type === 'f') this.#isCopying = false;
    if (type === 'H') this.#isSeriesOpen = true;
    if (type === 'S') this.#isSeriesOpen = false;
    this.#deps.pass(message);
  }
}

function isRefusal(error: Buffer): boolean {
  return error.includes('\0C25006\0', HEAD_BYTES, 'latin1');
}

function isFatal(error: Buffer): boolean {
  return (
    error.includes('\0VFATAL\0', HEAD_BYTES, 'latin1') ||
    error.includes('SFATAL\0', HEAD_BYTES, 'latin1')
  );
}

function isOwnParameter(status: Buffer): boolean {
  return stringsOf(status, 1)[0] === 'default_transaction_read_only';
}
