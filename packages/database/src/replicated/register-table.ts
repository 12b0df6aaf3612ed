import { InvalidOptionError, type OptionRule, isHoldfastError } from '@holdfast/foundation';
import { MalformedRegisterError } from './errors.ts';
import type { Version } from './version.ts';

/** Runs statements on the Postgres of a region, such as a `Database` of this package. */
export interface RegionDatabase {
  query(
    sql: string,
    values: readonly unknown[],
    options: { signal: AbortSignal; idempotent: boolean },
  ): PromiseLike<{ readonly rows: readonly unknown[] }>;
}

/** A value with the version it was written as. */
export interface Register {
  readonly version: Version;
  /** As JSON. */
  readonly text: string;
}

const TABLE = /^[a-z_][a-z0-9_]{0,62}(?:\.[a-z_][a-z0-9_]{0,62})?$/;

/** The name of the table, which becomes part of statements. */
export const tableRule: OptionRule<string> = {
  permitted: 'a name that needs no quotes, such as registers or shop.registers',
  parse(value, field, owner) {
    if (typeof value === 'string' && TABLE.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => 'holdfast_registers',
};

/**
 * The statement that creates the table of a region.
 * @param table a name that needs no quotes, with or without its schema. Default `holdfast_registers`.
 * @throws InvalidOptionError
 */
export function registerTableSql(table = 'holdfast_registers'): string {
  const name = tableRule.parse(table, 'table', 'registerTableSql');
  return (
    `create table if not exists ${name} (key text primary key, counter bigint not null, ` +
    `writer text collate "C" not null, value text not null)`
  );
}

/** The registers in the table of one region. Versions only grow, whatever the order of the writes. */
export class RegisterTable {
  readonly #region: string;
  readonly #database: RegionDatabase;
  readonly #versionSql: string;
  readonly #readSql: string;
  readonly #writeSql: string;

  /** @param table a name that needs no quotes. */
  constructor(region: string, database: RegionDatabase, table: string) {
    this.#region = region;
    this.#database = database;
    this.#versionSql = `select counter::text, writer from ${table} where key = $1`;
    this.#readSql = `select counter::text, writer, value from ${table} where key = $1`;
    this.#writeSql =
      `insert into ${table} as held (key, counter, writer, value) values ($1, $2, $3, $4) ` +
      'on conflict (key) do update set counter = excluded.counter, writer = excluded.writer, ' +
      'value = excluded.value where (held.counter, held.writer) < (excluded.counter, excluded.writer)';
  }

  async version(key: string, signal: AbortSignal): Promise<Version | undefined> {
    const row = await this.#queryRow(this.#versionSql, key, signal);
    return row === undefined ? undefined : this.#parseVersion(row, key);
  }

  async read(key: string, signal: AbortSignal): Promise<Register | undefined> {
    const row = await this.#queryRow(this.#readSql, key, signal);
    if (row === undefined) return undefined;
    const { value } = row;
    if (typeof value === 'string') return { version: this.#parseVersion(row, key), text: value };
    throw new MalformedRegisterError(this.#region, key, 'a value that is no text');
  }

  /** Resolves once the region has stored this version or a later one. */
  async write(key: string, { version, text }: Register, signal: AbortSignal): Promise<undefined> {
    const values = [key, version.counter, version.writer, text];
    await this.#database.query(this.#writeSql, values, { signal, idempotent: true });
    return undefined;
  }

  async #queryRow(
    sql: string,
    key: string,
    signal: AbortSignal,
  ): Promise<Record<string, unknown> | undefined> {
    const { rows } = await this.#database.query(sql, [key], { signal, idempotent: true });
    const [row] = rows;
    if (row === undefined || isRecord(row)) return row;
    throw new MalformedRegisterError(this.#region, key, 'a row without columns');
  }

  #parseVersion(row: Record<string, unknown>, key: string): Version {
    const { writer } = row;
    const counter = Number(row['counter']);
    if (typeof writer !== 'string' || !Number.isSafeInteger(counter)) {
      throw new MalformedRegisterError(this.#region, key, 'an invalid version');
    }
    return { counter, writer };
  }
}

/** Whether a region whose write failed may nevertheless have stored it. */
export function mayHaveWritten(error: unknown): boolean {
  return !isHoldfastError(error) || error.outcome !== 'not-applied';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
