import {
  type Column,
  commandComplete,
  dataRow,
  rowDescription,
} from '@holdfast/protocols/postgres';
import type { FakeRow } from './script.ts';

const typeIds = { boolean: 16, bigint: 20, number: 701, integer: 23, string: 25 } as const;

/** The columns, by the names of the first row. */
function columnsOf(rows: readonly FakeRow[]): Column[] {
  return Object.keys(rows[0] ?? {}).map((name) => ({ name, typeId: typeIdOf(name, rows) }));
}

/** The rows and their command tag. */
export function encodeRows(rows: readonly FakeRow[], command: string | undefined): Buffer[] {
  const columns = columnsOf(rows);
  const data = rows.map((row) => dataRow(columns.map(({ name }) => encoded(row[name]))));
  return [...data, commandComplete(command ?? `SELECT ${rows.length}`)];
}

export function describeRows(rows: readonly FakeRow[]): Buffer {
  return rowDescription(columnsOf(rows));
}

function typeIdOf(name: string, rows: readonly FakeRow[]): number {
  const value = rows.map((row) => row[name]).find((each) => each !== null && each !== undefined);
  if (value === undefined || value === null) return typeIds.string;
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
    return typeIds.integer;
  }
  return typeIds[typeof value === 'number' ? 'number' : typeOf(value)];
}

function typeOf(value: string | bigint | boolean): 'string' | 'bigint' | 'boolean' {
  if (typeof value === 'bigint') return 'bigint';
  return typeof value === 'boolean' ? 'boolean' : 'string';
}

function encoded(value: FakeRow[string] | undefined): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return String(value);
}
