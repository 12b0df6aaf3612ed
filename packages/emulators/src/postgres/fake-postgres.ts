import { type AddressInfo, type Server, createServer } from 'node:net';
import {
  type Clock,
  InvalidOptionError,
  type Subscribe,
  type OptionRule,
  createEmitter,
  objectWith,
  integer,
  optional,
  parseOptions,
  systemClock,
  string,
} from '@holdfast/foundation';
import { type FakeBehavior, parseBehavior } from './behavior.ts';
import type { BoundValue } from '@holdfast/protocols/postgres';
import type { Ending } from './response-writer.ts';
import { type ScriptedReply, type Match, Script, type ScriptLine } from './script.ts';
import { type Identity, Session, type SessionHost, type SessionPhase } from './session.ts';

export interface FakePostgresOptions {
  /** How statements are answered; the first line that matches does. Default: none. */
  script?: readonly ScriptLine[];
  /** How it behaves at first. */
  behavior?: Partial<FakeBehavior>;
  /** Asked for in clear text. Default: nobody is asked. */
  password?: string;
  /** The longest message it reads, in bytes. Default 1 MiB. */
  maxMessageBytes?: number;
  /** Statements kept in the log of one session, the newest. Default 10 000. */
  maxLoggedStatements?: number;
  clock?: Clock;
}

export interface LoggedStatement {
  readonly sql: string;
  readonly values: readonly BoundValue[];
}

/** What is known of one session, from the first connection that introduced itself. */
export interface LoggedSession {
  readonly number: number;
  readonly processId: number;
  /** Of the start-up packet, such as `user`, `database`, `application_name`. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly phase: SessionPhase;
  /** Whether the client ended it in the words of the protocol. */
  readonly terminated: boolean;
  readonly statements: readonly LoggedStatement[];
}

export interface FakePostgresEvents {
  /** A client has introduced itself. */
  session: { session: number };
  /** A statement came in. */
  statement: { session: number; sql: string; values: readonly BoundValue[] };
  /** A CancelRequest came in; `session` is whom its key belongs to. */
  cancel: { session: number | undefined };
  /** A session's connection is gone. */
  ended: { session: number };
}

/**
 * A Postgres of one process and no data, at the level of the wire: what it says is scripted, how it fails
 * can be changed at any moment, and what arrived is kept, session by session.
 * Knows start-up, trust and clear-text passwords, the simple and the extended protocol without statement
 * descriptions, transaction states, cancelling. Knows no encryption, COPY, binary results or data.
 */
export interface FakePostgres {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly behavior: FakeBehavior;
  /** Changes what is named, from now on. @throws InvalidOptionError */
  setBehavior(changes: Partial<FakeBehavior>): void;
  /** A line of the script before all others; returns what takes it out again. */
  reply(match: Match, answer: ScriptedReply): () => void;
  /** Every session so far, in the order in which they introduced themselves. */
  sessions(): readonly LoggedSession[];
  /** The statements of all sessions so far, without what opened them. */
  statements(): readonly string[];
  /** Connections accepted so far, those of CancelRequests too. */
  readonly connectionsTotal: number;
  readonly connectionsOpen: number;
  /** Says FATAL to the session, or to all, and ends it. Default 57P01. */
  terminate(options?: { sqlState?: string; session?: number }): void;
  /** Ends the session's connection, or all, without a word. Default `reset`. */
  drop(options?: { ending?: Ending; session?: number }): void;
  /** As a kill does: connections end, and the port refuses. */
  stop(options?: { ending?: Ending }): Promise<void>;
  /** Listens again on the same port; the script and the behavior stand. */
  start(): Promise<void>;
  readonly on: Subscribe<FakePostgresEvents>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const HOST = '127.0.0.1';
const FIRST_PROCESS_ID = 1_000;

const scriptRule: OptionRule<readonly ScriptLine[]> = {
  permitted: 'an array of [match, answer]',
  parse(value, field, owner) {
    if (Array.isArray(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => [],
};

const shape = {
  script: scriptRule,
  behavior: {
    permitted: 'an object',
    parse: (value: unknown, _field: string, owner: string) => parseBehavior(owner, value),
    defaultValue: (_field: string, owner: string) => parseBehavior(owner, {}),
  } satisfies OptionRule<FakeBehavior>,
  password: optional(string({ maxLength: 1_000 })),
  maxMessageBytes: integer({ min: 64, max: 1_073_741_824, default: 1_048_576 }),
  maxLoggedStatements: integer({ min: 1, max: 10_000_000, default: 10_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

interface Entry {
  readonly session: Session;
  readonly identity: Identity;
  readonly parameters: Readonly<Record<string, string>>;
  readonly statements: LoggedStatement[];
}

/** Listens on a free port of the loopback. @throws InvalidOptionError */
export async function createFakePostgres(options?: FakePostgresOptions): Promise<FakePostgres> {
  const settled = parseOptions('createFakePostgres', shape, options);
  const announcer = createEmitter<FakePostgresEvents>('holdfast:fake-postgres');
  const script = new Script(settled.script);
  const connections = new Set<Session>();
  const entries: Entry[] = [];
  let behavior = parseBehavior('createFakePostgres', {});
  let connectionsTotal = 0;
  let melting = Promise.resolve();
  let thaw = (): void => {};
  let whenEmpty = (): void => {};

  const entryOf = (session: Session): Entry | undefined =>
    entries[(session.identity?.number ?? 0) - 1];

  const host: SessionHost = {
    clock: settled.clock,
    script,
    password: settled.password,
    maxMessageBytes: settled.maxMessageBytes,
    behavior: () => behavior,
    thawed: () => melting,
    enter(session, parameters) {
      const number = entries.length + 1;
      // The secret has nothing to hide: it only has to differ from that of any other session.
      const identity = { number, processId: FIRST_PROCESS_ID + number, secret: number * 7_919 };
      entries.push({ session, identity, parameters, statements: [] });
      announcer.emit('session', { session: number });
      return identity;
    },
    hasRoom() {
      const inside = [...connections].filter(({ phase }) => isInside(phase));
      return inside.length < behavior.maxConnections;
    },
    cancel(processId, secret) {
      const meant = entries.find(
        ({ identity }) => identity.processId === processId && identity.secret === secret,
      );
      announcer.emit('cancel', { session: meant?.identity.number });
      if (behavior.cancels) meant?.session.cancel();
    },
    received(session, sql, values) {
      const entry = entryOf(session);
      if (entry === undefined) return;
      entry.statements.push({ sql, values });
      if (entry.statements.length > settled.maxLoggedStatements) entry.statements.shift();
      announcer.emit('statement', { session: entry.identity.number, sql, values });
    },
    ended(session) {
      connections.delete(session);
      const entry = entryOf(session);
      if (entry !== undefined) announcer.emit('ended', { session: entry.identity.number });
      if (connections.size === 0) whenEmpty();
    },
  };

  const listenOn = (port: number): Promise<Server> =>
    new Promise((resolve, reject) => {
      const server = createServer((socket) => {
        connectionsTotal += 1;
        connections.add(new Session(socket, host));
      });
      server.once('error', reject);
      server.listen(port, HOST, () => resolve(server));
    });

  let server: Server | undefined = await listenOn(0);
  const port = portOf(server);

  const meant = (number: number | undefined): Session[] =>
    number === undefined
      ? [...connections]
      : [...connections].filter(({ identity }) => identity?.number === number);

  const endAll = async (end: (session: Session) => void): Promise<void> => {
    const listening = server;
    server = undefined;
    listening?.close();
    if (connections.size === 0) return;
    const empty = new Promise<void>((resolve) => (whenEmpty = resolve));
    for (const session of connections) end(session);
    await empty;
  };

  const setBehavior = (changes: Partial<FakeBehavior>): void => {
    const wasFrozen = behavior.frozen;
    behavior = parseBehavior('setBehavior', { ...behavior, ...changes });
    if (behavior.frozen === wasFrozen) return;
    if (behavior.frozen) melting = new Promise((resolve) => (thaw = resolve));
    else thaw();
  };

  const close = async (): Promise<void> => {
    await endAll((session) => session.destroy());
    thaw();
  };

  setBehavior(settled.behavior);
  return {
    host: HOST,
    port,
    url: `postgres://fake${settled.password === undefined ? '' : `:${encodeURIComponent(settled.password)}`}@${HOST}:${port}/fake`,
    get behavior() {
      return behavior;
    },
    setBehavior,
    reply: (match, answer) => script.add(match, answer),
    sessions: () => entries.map(logged),
    statements: () => entries.flatMap(({ statements }) => statements.map(({ sql }) => sql)),
    get connectionsTotal() {
      return connectionsTotal;
    },
    get connectionsOpen() {
      return connections.size;
    },
    terminate({ sqlState = '57P01', session } = {}) {
      for (const each of meant(session)) each.terminate(sqlState, 'ended by an administrator');
    },
    drop({ ending = 'reset', session } = {}) {
      for (const each of meant(session)) each.drop(ending);
    },
    stop: ({ ending = 'reset' } = {}) => endAll((session) => session.drop(ending)),
    async start() {
      server ??= await listenOn(port);
    },
    on: announcer.on,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Whether it takes up one of the places that a server has. */
function isInside(phase: SessionPhase): boolean {
  return phase === 'authenticating' || phase === 'serving';
}

function logged({ session, identity, parameters, statements }: Entry): LoggedSession {
  return {
    number: identity.number,
    processId: identity.processId,
    parameters,
    phase: session.phase,
    terminated: session.terminated,
    statements: [...statements],
  };
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('it has no port');
  return address.port;
}
