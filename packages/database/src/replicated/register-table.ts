import { isHoldfastError } from '@holdfast/foundation';
import { MalformedRegisterError } from './errors.ts';
import type { Version } from './version.ts';

/** What a region has to offer: one statement on its Postgres, such as a `Database` of this package. */
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

/** Registers in the table of one region. Versions only grow there, whatever order writes arrive in. */
export interface RegisterTable {
  version(database: RegionDatabase, key: string, signal: AbortSignal): Promise<Version | undefined>;
  read(database: RegionDatabase, key: string, signal: AbortSignal): Promise<Register | undefined>;
  /** Resolves once the region holds this version or a later one, on its disk. */
  keep(
    database: RegionDatabase,
    key: string,
    register: Register,
    signal: AbortSignal,
  ): Promise<undefined>;
}

/** The statement that makes the table a region needs. */
export function registerTableSql(table = 'holdfast_registers'): string {
  return (
    `create table if not exists ${table} (key text primary key, counter bigint not null, ` +
    `writer text collate "C" not null, value text not null)`
  );
}

/** @param table a name that needs no quotes. */
export function registerTable(region: string, table: string): RegisterTable {
  const versionSql = `select counter::text, writer from ${table} where key = $1`;
  const readSql = `select counter::text, writer, value from ${table} where key = $1`;
  const keepSql =
    `insert into ${table} as held (key, counter, writer, value) values ($1, $2, $3, $4) ` +
    'on conflict (key) do update set counter = excluded.counter, writer = excluded.writer, ' +
    'value = excluded.value where (held.counter, held.writer) < (excluded.counter, excluded.writer)';

  const ask = async (
    database: RegionDatabase,
    sql: string,
    key: string,
    signal: AbortSignal,
  ): Promise<Record<string, unknown> | undefined> => {
    const { rows } = await database.query(sql, [key], { signal, idempotent: true });
    const [row] = rows;
    if (row === undefined) return undefined;
    if (isRecord(row)) return row;
    throw new MalformedRegisterError(region, key, 'a row without columns');
  };

  const versionIn = (row: Record<string, unknown>, key: string): Version => {
    const { counter, writer } = row;
    const counted = Number(counter);
    if (typeof writer !== 'string' || !Number.isSafeInteger(counted)) {
      throw new MalformedRegisterError(region, key, 'a version that is none');
    }
    return { counter: counted, writer };
  };

  return {
    async version(database, key, signal) {
      const row = await ask(database, versionSql, key, signal);
      return row === undefined ? undefined : versionIn(row, key);
    },
    async read(database, key, signal) {
      const row = await ask(database, readSql, key, signal);
      if (row === undefined) return undefined;
      const { value } = row;
      if (typeof value === 'string') return { version: versionIn(row, key), text: value };
      throw new MalformedRegisterError(region, key, 'a value that is no text');
    },
    async keep(database, key, { version, text }, signal) {
      const values = [key, version.counter, version.writer, text];
      await database.query(keepSql, values, { signal, idempotent: true });
      return undefined;
    },
  };
}

/** Whether a region that failed to keep a register can nevertheless have it. */
export function mayHaveKept(error: unknown): boolean {
  return !isHoldfastError(error) || error.outcome !== 'not-applied';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
