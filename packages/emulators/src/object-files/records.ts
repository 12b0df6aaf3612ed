import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type ResolvedOptions, type OptionsSchema, parseOptions } from '@holdfast/foundation';

/** Records by key. Each change is written before the call returns. */
export interface RecordTable<T> {
  readonly size: number;
  get(key: string): T | undefined;
  set(key: string, record: T): void;
  delete(key: string): void;
  /** The keys, sorted by their UTF-8 bytes as in every listing. */
  keys(): readonly string[];
}

/** Tables that survive a crash of the process (not of the machine: nothing is synced to disk). */
export interface RecordFile {
  table<S extends OptionsSchema<unknown> & Parameters<typeof parseOptions>[1]>(
    name: string,
    shape: S,
  ): RecordTable<ResolvedOptions<S>>;
  close(): void;
}

const FILE = 'records.jsonl';

/**
 * Appends one line of JSON for each change. Opening replays the file, then rewrites it without superseded
 * records. Only the last line can be torn, by a crash during its write; its change was never acknowledged.
 * Without a directory, the tables are in memory only.
 */
export function openRecordFile(directory: string | undefined): RecordFile {
  const found = new Map<string, Map<string, unknown>>();
  let file: number | undefined;
  if (directory !== undefined) {
    mkdirSync(directory, { recursive: true });
    const path = join(directory, FILE);
    for (const change of readChanges(path)) apply(found, change);
    const next = `${path}.next`;
    const compacted = openSync(next, 'w');
    for (const [table, records] of found) {
      for (const [key, record] of records) writeLine(compacted, [table, key, record]);
    }
    closeSync(compacted);
    renameSync(next, path);
    file = openSync(path, 'a');
  }
  return {
    table(name, shape) {
      const records = new Map<string, ResolvedOptions<typeof shape>>();
      for (const [key, record] of found.get(name) ?? []) {
        records.set(key, parseOptions(FILE, shape, record, name));
      }
      return keptTable(records, (key, record) => {
        if (file !== undefined) writeLine(file, [name, key, record]);
      });
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

function keptTable<T>(
  records: Map<string, T>,
  keep: (key: string, record: T | null) => void,
): RecordTable<T> {
  let sorted: readonly string[] | undefined;
  return {
    get size() {
      return records.size;
    },
    get: (key) => records.get(key),
    set(key, record) {
      keep(key, record);
      if (!records.has(key)) sorted = undefined;
      records.set(key, record);
    },
    delete(key) {
      if (!records.has(key)) return;
      keep(key, null);
      records.delete(key);
      sorted = undefined;
    },
    keys: () => (sorted ??= [...records.keys()].toSorted(byBytes)),
  };
}

/** Compares by UTF-8 bytes, where surrogate pairs sort above all other code units. */
export function byBytes(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let at = 0; at < end; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

function readChanges(path: string): unknown[] {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  // The text after the last line end is empty or torn.
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line): unknown => JSON.parse(line));
}

function apply(tables: Map<string, Map<string, unknown>>, change: unknown): void {
  if (!Array.isArray(change)) return;
  const [table, key, record]: unknown[] = change;
  if (typeof table !== 'string' || typeof key !== 'string') return;
  const records = tables.get(table) ?? new Map<string, unknown>();
  tables.set(table, records);
  if (record === null) records.delete(key);
  else records.set(key, record);
}

/** Writes the whole line, or nothing: a line that a full disk has cut would damage the next one. */
function writeLine(file: number, line: readonly unknown[]): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  const { size } = fstatSync(file);
  try {
    // What a disk has room for is written without an error.
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
  } catch (error) {
    ftruncateSync(file, size);
    throw error;
  }
}
