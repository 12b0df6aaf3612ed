import { once } from 'node:events';
import { type Server, createServer } from 'node:net';
import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type ResolvedOptions,
  type Subscribe,
  createEmitter,
  objectWith,
  integer,
  optional,
  parseOptions,
  systemClock,
  string,
  type EventKinds,
} from '@holdfast/foundation';
import { type FakeBehavior, behaviorRule, parseBehavior } from './behavior.ts';
import type { BoundValue } from '@holdfast/protocols/postgres';
import type { Ending } from './response-writer.ts';
import { type ScriptedReply, type Match, Script, type ScriptLine } from './script.ts';
import { type Identity, FakeSession, type SessionDeps, type SessionPhase } from './session.ts';

/** Options of `createFakePostgres`. */
export interface FakePostgresOptions {
  /** The replies to statements; the first line that matches is used. Default: none. */
  script?: readonly ScriptLine[];
  /** The initial behavior. */
  behavior?: Partial<FakeBehavior>;
  /** Requested in clear text. Default: none is requested. */
  password?: string;
  /** The longest message that it accepts, in bytes. Default 1 MiB. */
  maxMessageBytes?: number;
  /** The number of latest statements kept in the log of one session. Default 10 000. */
  maxLoggedStatements?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** A statement that a session has sent, with its values. */
export interface LoggedStatement {
  readonly sql: string;
  readonly values: readonly BoundValue[];
}

/** One session, from its start-up packet on. */
export interface LoggedSession {
  readonly number: number;
  readonly processId: number;
  /** Of the start-up packet, such as `user`, `database`, `application_name`. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly phase: SessionPhase;
  /** Whether the client ended it with Terminate. */
  readonly terminated: boolean;
  readonly statements: readonly LoggedStatement[];
}

/** The events of a fake Postgres, by name. */
export interface FakePostgresEvents {
  /** A client has sent its start-up packet. */
  session: { session: number };
  /** A statement was received. */
  statement: { session: number; sql: string; values: readonly BoundValue[] };
  /** A CancelRequest was received; `session` is the one that its key belongs to. */
  cancel: { session: number | undefined };
  /** A session's connection has closed. */
  ended: { session: number };
}

const fakePostgresEventKinds: EventKinds<FakePostgresEvents> = {
  session: true,
  statement: true,
  cancel: true,
  ended: true,
};

/**
 * A Postgres server in this process, without data, at the level of the wire protocol: its replies are scripted, its
 * faults can be changed at any time, and received statements are logged for each session. It supports start-up, trust
 * and clear-text passwords, the simple and the extended protocol without statement descriptions, transaction
 * states and cancelling; no encryption, COPY, binary results or data.
 */
export interface FakePostgres {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly behavior: FakeBehavior;
  /** Changes the given fields from now on. @throws InvalidOptionError */
  setBehavior(changes: Partial<FakeBehavior>): void;
  /** Adds a line at the beginning of the script; the returned function removes it. */
  reply(match: Match, reply: ScriptedReply): () => void;
  /** Every session so far, in the order of their start-up packets. */
  sessions(): readonly LoggedSession[];
  /** The statements of all sessions so far. */
  statements(): readonly string[];
  /** Connections accepted so far, including those of CancelRequests. */
  readonly connectionsTotal: number;
  readonly connectionsOpen: number;
  /** Sends a FATAL error to the session, or to all, and closes it. Default 57P01. */
  terminate(options?: { sqlState?: string; session?: number }): void;
  /** Closes the connection of the session, or all, without an error. Default `reset`. */
  drop(options?: { ending?: Ending; session?: number }): void;
  /** Like a kill: connections close, and the port refuses new ones. */
  stop(options?: { ending?: Ending }): Promise<void>;
  /** Listens again on the same port, with the same script and behavior. */
  start(): Promise<void>;
  readonly on: Subscribe<FakePostgresEvents>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const FIRST_PROCESS_ID = 1_000;

const scriptRule: OptionRule<readonly ScriptLine[]> = {
  permitted: 'an array of [match, answer]',
  parse(value, field, owner) {
    if (Array.isArray(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => [],
};

const schema = {
  script: scriptRule,
  behavior: behaviorRule,
  password: optional(string({ maxLength: 1_000 })),
  maxMessageBytes: integer({ min: 64, max: 1_073_741_824, default: 1_048_576 }),
  maxLoggedStatements: integer({ min: 1, max: 10_000_000, default: 10_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

interface SessionRecord {
  readonly session: FakeSession;
  readonly identity: Identity;
  readonly parameters: Readonly<Record<string, string>>;
  readonly statements: LoggedStatement[];
}

/** Listens on a free port of the loopback interface. @throws InvalidOptionError */
export async function createFakePostgres(options?: FakePostgresOptions): Promise<FakePostgres> {
  const server = new FakePostgresServer(parseOptions('createFakePostgres', schema, options));
  await server.start();
  return server;
}

class FakePostgresServer implements FakePostgres, SessionDeps {
  readonly host = '127.0.0.1';
  port = 0;
  readonly clock: Clock;
  readonly script: Script;
  readonly password: string | undefined;
  readonly maxMessageBytes: number;
  readonly on: Subscribe<FakePostgresEvents>;
  behavior: FakeBehavior;
  connectionsTotal = 0;
  readonly #maxLoggedStatements: number;
  readonly #events = createEmitter<FakePostgresEvents>(
    'holdfast:fake-postgres',
    fakePostgresEventKinds,
  );
  readonly #connections = new Set<FakeSession>();
  readonly #records: SessionRecord[] = [];
  #listener: Server | undefined;
  #resumed = Promise.resolve();
  #resume = (): void => undefined;
  #whenEmpty = (): void => undefined;

  constructor(options: ResolvedOptions<typeof schema>) {
    this.clock = options.clock;
    this.script = new Script(options.script);
    this.password = options.password;
    this.maxMessageBytes = options.maxMessageBytes;
    this.#maxLoggedStatements = options.maxLoggedStatements;
    this.on = this.#events.on;
    this.behavior = parseBehavior('createFakePostgres', {});
    this.setBehavior(options.behavior);
  }

  get url(): string {
    const password = this.password === undefined ? '' : `:${encodeURIComponent(this.password)}`;
    return `postgres://fake${password}@${this.host}:${this.port}/fake`;
  }

  setBehavior(changes: Partial<FakeBehavior>): void {
    const wasFrozen = this.behavior.frozen;
    this.behavior = parseBehavior('setBehavior', { ...this.behavior, ...changes });
    if (this.behavior.frozen === wasFrozen) return;
    if (wasFrozen) this.#resume();
    else this.#resumed = new Promise((resolve) => (this.#resume = resolve));
  }

  reply(match: Match, reply: ScriptedReply): () => void {
    return this.script.add(match, reply);
  }

  sessions(): readonly LoggedSession[] {
    return this.#records.map(({ session, identity, parameters, statements }) => ({
      number: identity.number,
      processId: identity.processId,
      parameters,
      phase: session.phase,
      terminated: session.terminated,
      statements: [...statements],
    }));
  }

  statements(): readonly string[] {
    return this.#records.flatMap(({ statements }) => statements.map(({ sql }) => sql));
  }

  get connectionsOpen(): number {
    return this.#connections.size;
  }

  terminate({ sqlState = '57P01', session }: { sqlState?: string; session?: number } = {}): void {
    for (const each of this.#select(session)) each.abort(sqlState, 'ended by an administrator');
  }

  drop({ ending = 'reset', session }: { ending?: Ending; session?: number } = {}): void {
    for (const each of this.#select(session)) each.drop(ending);
  }

  stop({ ending = 'reset' }: { ending?: Ending } = {}): Promise<void> {
    return this.#endAll((session) => session.drop(ending));
  }

  async start(): Promise<void> {
    if (this.#listener !== undefined) return;
    const listener = createServer((socket) => {
      this.connectionsTotal += 1;
      this.#connections.add(new FakeSession(socket, this));
    });
    listener.listen(this.port, this.host);
    await once(listener, 'listening');
    this.#listener = listener;
    const address = listener.address();
    if (typeof address === 'object' && address !== null) this.port = address.port;
  }

  async close(): Promise<void> {
    await this.#endAll((session) => session.destroy());
    this.#resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  untilResumed(): Promise<void> {
    return this.#resumed;
  }

  register(session: FakeSession, parameters: Readonly<Record<string, string>>): Identity {
    const number = this.#records.length + 1;
    // The secret only has to differ from that of any other session.
    const identity = { number, processId: FIRST_PROCESS_ID + number, secret: number * 7_919 };
    this.#records.push({ session, identity, parameters, statements: [] });
    this.#events.emit('session', { session: number });
    return identity;
  }

  hasRoom(): boolean {
    const counted = [...this.#connections].filter(
      ({ phase }) => phase === 'authenticating' || phase === 'serving',
    );
    return counted.length < this.behavior.maxConnections;
  }

  cancel(processId: number, secret: number): void {
    const record = this.#records.find(
      ({ identity }) => identity.processId === processId && identity.secret === secret,
    );
    this.#events.emit('cancel', { session: record?.identity.number });
    if (this.behavior.cancels) record?.session.cancel();
  }

  received(session: FakeSession, sql: string, values: readonly BoundValue[]): void {
    const record = this.#recordOf(session);
    if (record === undefined) return;
    record.statements.push({ sql, values });
    if (record.statements.length > this.#maxLoggedStatements) record.statements.shift();
    this.#events.emit('statement', { session: record.identity.number, sql, values });
  }

  ended(session: FakeSession): void {
    this.#connections.delete(session);
    const record = this.#recordOf(session);
    if (record !== undefined) this.#events.emit('ended', { session: record.identity.number });
    if (this.#connections.size === 0) this.#whenEmpty();
  }

  #recordOf(session: FakeSession): SessionRecord | undefined {
    return this.#records[(session.identity?.number ?? 0) - 1];
  }

  #select(number: number | undefined): FakeSession[] {
    const all = [...this.#connections];
    return number === undefined ? all : all.filter(({ identity }) => identity?.number === number);
  }

  async #endAll(end: (session: FakeSession) => void): Promise<void> {
    this.#listener?.close();
    this.#listener = undefined;
    if (this.#connections.size === 0) return;
    const empty = new Promise<void>((resolve) => (this.#whenEmpty = resolve));
    for (const session of this.#connections) end(session);
    await empty;
  }
}
