import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { propertyOf } from '@holdfast/foundation';
import type { HistoryEntry } from './entry.ts';

/** What the file holds at most: the newest runs, of which the last is always kept. */
const MAX_RUNS = 400;
const MAX_BYTES = 8 * 1024 * 1024;

/** The runs that the file holds. */
export interface History {
  /** Oldest first. */
  readonly entries: readonly HistoryEntry[];
  /** Lines that are damaged or of a later version of the format. */
  readonly unreadable: number;
}

/**
 * Reads a history; a missing file is an empty one.
 * @throws the error of the file system when it exists and cannot be read
 */
export function readHistory(path: string): History {
  const lines = linesOf(path);
  const entries = lines.map(parseEntry).filter((entry) => entry !== undefined);
  return { entries, unreadable: lines.length - entries.length };
}

/**
 * Appends a run. When the file would hold more than 400 runs or 8 MiB, the oldest ones are removed; a run that
 * ends at that moment in another process may then be missing.
 * @throws the error of the file system
 */
export function appendHistory(path: string, entry: HistoryEntry): void {
  const line = JSON.stringify(entry);
  const kept = newestWithin([...linesOf(path), line]);
  mkdirSync(dirname(path), { recursive: true });
  if (kept.length > 1 && kept.length === linesOf(path).length + 1) {
    // A line that a killed process cut short must not swallow this one; empty lines are not read.
    appendFileSync(path, `\n${line}\n`);
    return;
  }
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${kept.join('\n')}\n`);
  renameSync(temporary, path);
}

function newestWithin(lines: readonly string[]): string[] {
  let bytes = 0;
  const fit = lines.toReversed().findIndex((line, index) => {
    bytes += Buffer.byteLength(line) + 2;
    return index > 0 && (index >= MAX_RUNS || bytes > MAX_BYTES);
  });
  return fit === -1 ? [...lines] : lines.slice(lines.length - fit);
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch (error) {
    if (propertyOf(error, 'code') === 'ENOENT') return [];
    throw error;
  }
}

function parseEntry(line: string): HistoryEntry | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return isEntry(entry) ? entry : undefined;
  } catch {
    return undefined;
  }
}

function isEntry(value: unknown): value is HistoryEntry {
  const isObject = (key: string): boolean => {
    const field = propertyOf(value, key);
    return typeof field === 'object' && field !== null;
  };
  return (
    propertyOf(value, 'version') === 1 &&
    typeof propertyOf(value, 'report') === 'string' &&
    typeof propertyOf(value, 'startedAt') === 'string' &&
    typeof propertyOf(value, 'durationMs') === 'number' &&
    ['totals', 'files', 'scenarios', 'unsteady'].every(isObject)
  );
}
