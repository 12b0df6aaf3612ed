import {
  InvalidOptionError,
  type OptionRule,
  integer,
  number,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import type { CountedFault } from '../../fault-injector.ts';
import type { ErrorFields } from '@holdfast/protocols/postgres';
import type { SqlStatement } from './sql-statement.ts';

export interface PostgresErrorOptions {
  /** Share of what it meets, 0 to 1, drawn for each. Default 1. */
  probability?: number;
  /** It strikes so often, then no more. Default: no end. */
  times?: number;
}

export interface PostgresStatementErrorOptions extends PostgresErrorOptions {
  /** First words of statements, such as `update` or `commit`. Default: those Postgres itself would refuse so. */
  statements?: readonly string[];
  /** Only statements with this in their text. */
  containing?: string;
}

/** Each refusal of Postgres, by its SQLSTATE. */
export interface PostgresErrors {
  /** `cannot_connect_now`: it starts up; connections are refused and closed. */
  '57P03': PostgresErrorOptions;
  /** `too_many_connections`; connections are refused and closed. */
  '53300': PostgresErrorOptions;
  /** `admin_shutdown`: the session ends instead of the statement. */
  '57P01': PostgresStatementErrorOptions;
  /** `serialization_failure`: of what reads or writes rows, or of `commit` when it is named. */
  '40001': PostgresStatementErrorOptions;
  /** `deadlock_detected`: of what reads or writes rows. */
  '40P01': PostgresStatementErrorOptions;
  /** `read_only_sql_transaction`: of what writes. */
  '25006': PostgresStatementErrorOptions;
  /** `disk_full`: of what writes. */
  '53100': PostgresStatementErrorOptions;
}

export type PostgresErrorKind = keyof PostgresErrors;

/** In the order in which a session meets them. */
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

const namesRule: OptionRule<ReadonlySet<string> | undefined> = optional({
  permitted: 'a list of first words of statements',
  parse(value, field, owner) {
    if (!isNames(value)) {
      throw new InvalidOptionError(owner, field, value, 'a list of first words of statements');
    }
    return new Set(value.map((name) => name.toLowerCase()));
  },
});
const aimShape = {
  probability: number({ min: 0, max: 1, default: 1 }),
  times: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: Number.MAX_SAFE_INTEGER }),
};
const statementShape = {
  ...aimShape,
  statements: namesRule,
  containing: optional(string({ maxLength: 10_000 })),
};

/** @throws InvalidOptionError, also for a word that is not known. */
export function parsePostgresError(
  word: PostgresErrorKind,
  options: unknown,
): ResolvedPostgresError {
  if (!postgresErrorKinds.includes(word)) {
    const permitted = `one of ${postgresErrorKinds.join(', ')}`;
    throw new InvalidOptionError('faults.set', 'word', word, permitted);
  }
  const owner = `faults.set('${word}')`;
  if (!isAtStart(word)) return parseOptions(owner, statementShape, options);
  return {
    ...parseOptions(owner, aimShape, options),
    statements: undefined,
    containing: undefined,
  };
}

/** Whether a refusal is for connections that begin. */
export function isAtStart(word: PostgresErrorKind): boolean {
  return word === '57P03' || word === '53300';
}

const rows = new Set(['select', 'insert', 'update', 'delete', 'merge']);
const changes = new Set([
  'insert',
  'update',
  'delete',
  'merge',
  'create',
  'alter',
  'drop',
  'truncate',
]);
const grows = new Set(['insert', 'update', 'merge', 'create', 'copy']);
const every = { has: (): boolean => true };
const refusedBy: Readonly<Record<PostgresErrorKind, { has(verb: string): boolean }>> = {
  '57P03': every,
  '53300': every,
  '57P01': every,
  '25006': changes,
  '40P01': rows,
  '40001': rows,
  '53100': grows,
};

/** Whether a refusal is for this statement. */
export function refusesStatement(
  { statements, containing }: ResolvedPostgresError,
  word: PostgresErrorKind,
  { verb, sql }: SqlStatement,
): boolean {
  if (isAtStart(word) || verb === '') return false;
  if (containing !== undefined && !sql.includes(containing)) return false;
  return (statements ?? refusedBy[word]).has(verb);
}

/** The refusal as Postgres words it. */
export function errorFields(word: PostgresErrorKind, verb: string): ErrorFields {
  return { sqlState: word, ...texts[word](verb.toUpperCase()) };
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

function isNames(value: unknown): value is readonly string[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((name) => typeof name === 'string' && name !== '')
  );
}
