import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CommandUsageError } from '../../errors.ts';

const REPORTS = 'reports';
const HISTORY = 'history.jsonl';
const REMEDY =
  "A run with the reporter '@holdfast/report/jest' writes one; name its folder otherwise";

/** The file of a report that the given path names: the file itself, or the one in a folder. */
export function fileOfReport(given: string, name: 'index.html' | 'run.json'): string {
  const path = resolve(given);
  if (!existsSync(path)) throw new CommandUsageError(`${given} does not exist`, REMEDY);
  if (!statSync(path).isDirectory()) return path;
  const file = join(path, name);
  if (!existsSync(file)) throw new CommandUsageError(`${given} has no ${name}`, REMEDY);
  return file;
}

/** The newest report below `reports`. */
export function newestReport(name: 'index.html' | 'run.json'): string {
  const folders = existsSync(REPORTS)
    ? [REPORTS, ...readdirSync(REPORTS).map((folder) => join(REPORTS, folder))]
    : [];
  const [newest] = folders
    .map((folder) => join(folder, name))
    .filter((path) => existsSync(path))
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (newest === undefined) {
    throw new CommandUsageError(`There is no ${name} in ${REPORTS}/ or its folders`, REMEDY);
  }
  return resolve(newest);
}

/** The history beside a report, or beside its folder. */
export function historyBeside(run: string): string {
  const own = join(dirname(run), HISTORY);
  const above = join(dirname(run), '..', HISTORY);
  return !existsSync(own) && existsSync(above) ? above : own;
}
