import { InvalidOptionError, optional, parseOptions, string } from '@holdfast/foundation';
import type { ErrorFields } from '@holdfast/protocols/postgres';
import { type CountedFault, countedShape } from '../../fault-injector.ts';
import { nameSet } from '../name-set.ts';
import type { SqlStatement } from './sql-statement.ts';

/** Options that every error of Postgres has. */
export interface PostgresErrorOptions {
  /** The share of connections or statements, 0 to 1, drawn for each. Default 1. */
  probability?: number;
  /** How often it is injected. Default: no limit. */
  times?: number;
}

/** Options of an error that answers a statement. */
export interface PostgresStatementErrorOptions extends PostgresErrorOptions {
  /** First words of statements, such as `update` or `commit`. Default: those that Postgres refuses with this error. */
  statements?: readonly string[];
  /** Only statements whose text contains this. */
  containing?: string;
}

/** The options of each error of Postgres, by its SQLSTATE. */
export interface PostgresErrors {
  /** `cannot_connect_now`, while the server starts; refuses connections. */
  '57P03': PostgresErrorOptions;
  /** `too_many_connections`; refuses connections. */
  '53300': PostgresErrorOptions;
  /** `admin_shutdown`; ends the session instead of running the statement. */
  '57P01': PostgresStatementErrorOptions;
  /** `serialization_failure`; refuses statements on rows, or `commit` when it is named. */
  '40001': PostgresStatementErrorOptions;
  /** `deadlock_detected`; refuses statements on rows. */
  '40P01': PostgresStatementErrorOptions;
  /**
   * `read_only_sql_transaction`. Unless `statements` are named, the server itself decides: the statement runs in a
   * read-only transaction there, as with `default_transaction_read_only`.
   */
  '25006': PostgresStatementErrorOptions;
  /** `disk_full`; refuses writes that need space. */
  '53100': PostgresStatementErrorOptions;
}

/** The SQLSTATE of an error of Postgres. */
export type PostgresErrorKind = keyof PostgresErrors;

/** In the order in which they are checked. */
export const postgresErrorKinds: readonly PostgresErrorKind[] = [
  '57P03',
  '53300',
  '57P01',
  '25006',
  '40P01',
  '40001',
  '53100',
];

export interface ResolvedPostgresError extends CountedFault {
  readonly statements: ReadonlySet<string> | undefined;
  readonly containing: string | undefined;
}

const statementShape = {
  ...countedShape,
  statements: nameSet('a list of first words of statements'),
  containing: optional(string({ maxLength: 10_000 })),
};

/** @throws InvalidOptionError, also for an unknown kind. */
export function parsePostgresError(
  kind: PostgresErrorKind,
  options: unknown,
): ResolvedPostgresError {
  if (!postgresErrorKinds.includes(kind)) {
    const permitted = `one of ${postgresErrorKinds.join(', ')}`;
    throw new InvalidOptionError('faults.set', 'kind', kind, permitted);
  }
  const owner = `faults.set('${kind}')`;
  if (!isAtStart(kind)) return parseOptions(owner, statementShape, options);
  return {
    ...parseOptions(owner, countedShape, options),
    statements: undefined,
    containing: undefined,
  };
}

/** Returns whether an error refuses a connection at its start. */
export function isAtStart(kind: PostgresErrorKind): boolean {
  return kind === '57P03' || kind === '53300';
}

const rows = new Set(['select', 'insert', 'update', 'delete', 'merge']);
const grows = new Set(['insert', 'update', 'merge', 'create', 'copy']);
const every = { has: (): boolean => true };
const refusedBy: Readonly<Record<PostgresErrorKind, { has(verb: string): boolean }>> = {
  '57P03': every,
  '53300': every,
  '57P01': every,
  // Its server decides.
  '25006': { has: () => false },
  '40P01': rows,
  '40001': rows,
  '53100': grows,
};

/** Returns whether an error refuses this statement. */
export function refusesStatement(
  { statements, containing }: ResolvedPostgresError,
  kind: PostgresErrorKind,
  { verb, sql }: SqlStatement,
): boolean {
  if (isAtStart(kind) || verb === '') return false;
  if (containing !== undefined && !sql.includes(containing)) return false;
  return (statements ?? refusedBy[kind]).has(verb);
}

/** Statements that no read-only transaction refuses, and some that cannot stand behind a savepoint. */
const neverWrites: ReadonlySet<string> = new Set(
  `abort begin checkpoint close commit deallocate discard end listen load notify prepare release reset rollback
  savepoint set show start unlisten`.split(/\s+/),
);

/** Returns whether the server is to decide about one of these statements. */
export function asksServer(
  { statements, containing }: ResolvedPostgresError,
  given: readonly SqlStatement[],
): boolean {
  if (statements !== undefined) return false;
  return given.some(
    ({ verbs, sql }) =>
      verbs.some((verb) => !neverWrites.has(verb)) &&
      (containing === undefined || sql.includes(containing)),
  );
}

/** Returns the error as Postgres reports it. */
export function errorFields(kind: PostgresErrorKind, verb: string): ErrorFields {
  return { sqlState: kind, ...texts[kind](verb.toUpperCase()) };
}

type Text = Omit<ErrorFields, 'sqlState'>;
const texts: Readonly<Record<PostgresErrorKind, (verb: string) => Text>> = {
  '57P03': () => ({ severity: 'FATAL', message: 'the database system is starting up' }),
  '53300': () => ({ severity: 'FATAL', message: 'sorry, too many clients already' }),
  '57P01': () => ({
    severity: 'FATAL',
    message: 'terminating connection due to administrator command',
  }),
  '25006': (verb) => ({
    severity: 'ERROR',
    message: `cannot execute ${verb} in a read-only transaction`,
  }),
  '40P01': () => ({
    severity: 'ERROR',
    message: 'deadlock detected',
    hint: 'See server log for query details.',
  }),
  '40001': () => ({
    severity: 'ERROR',
    message: 'could not serialize access due to concurrent update',
  }),
  '53100': () => ({
    severity: 'ERROR',
    message: 'could not extend file "base/5/16384": No space left on device',
    hint: 'Check free disk space.',
  }),
};
