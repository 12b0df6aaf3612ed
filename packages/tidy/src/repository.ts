import { execFileSync } from 'node:child_process';
import { type Dirent, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { maskedCode } from './source-text.ts';

/** The input of the rules: the files that are, or would be, committed. */
export interface Repository {
  readonly files: readonly RepositoryFile[];
  readonly packages: readonly Package[];
  find(path: string): RepositoryFile | undefined;
}

export interface RepositoryFile {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments, strings, templates and regular expressions blanked; see `maskedCode`. */
  readonly code: string;
}

export interface Package {
  /** The name of the folder, which is the package name without its scope. */
  readonly name: string;
  readonly path: string;
  readonly manifest: Readonly<Record<string, unknown>>;
}

/** One violation of a rule, with its position. */
export interface Violation {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export type Rule = (repository: Repository) => Violation[];

const MAX_BYTES = 5_000_000;
const notCommitted = new Set(['.git', 'node_modules', 'dist', 'coverage', 'reports']);

/** Makes a repository of the given files, for the tests of the rules. */
export function repositoryOf(texts: Readonly<Record<string, string>>): Repository {
  const files = Object.entries(texts).map(([path, text]) => fileOf(path, text));
  const byPath = new Map(files.map((file) => [file.path, file]));
  const packages = files.flatMap(({ path, text }): Package[] => {
    const name = /^packages\/([^/]+)\/package\.json$/.exec(path)?.[1];
    return name === undefined ? [] : [{ name, path, manifest: objectIn(JSON.parse(text)) }];
  });
  return { files, packages, find: (path) => byPath.get(path) };
}

/** The repository at `root`: the files that git does not ignore, or without git all except those never committed. */
export function readRepository(root: string): Repository {
  const texts: Record<string, string> = {};
  for (const path of pathsOf(root)) {
    const absolute = join(root, path);
    const stats = statSync(absolute, { throwIfNoEntry: false });
    if (stats === undefined || !stats.isFile() || stats.size > MAX_BYTES) continue;
    const text = readFileSync(absolute, 'utf8');
    if (!text.includes('\0')) texts[path] = text;
  }
  return repositoryOf(texts);
}

/** The published packages: all except private ones. */
export function publishedPackagesIn({ packages }: Repository): Package[] {
  return packages.filter(({ manifest }) => manifest['private'] !== true);
}

export function violationAt(file: RepositoryFile, index: number, message: string): Violation {
  return { path: file.path, line: file.text.slice(0, index).split('\n').length, message };
}

/** A violation for every match of `pattern` (global) in the code of the file, or in its full text. */
export function matchesIn(
  file: RepositoryFile,
  pattern: RegExp,
  message: string,
  where: 'code' | 'text' = 'code',
): Violation[] {
  return [...file[where].matchAll(pattern)].map(({ index }) => violationAt(file, index, message));
}

/** The value if it is an object, else an empty object. */
export function objectIn(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fileOf(path: string, text: string): RepositoryFile {
  let code: string | undefined;
  return {
    path,
    text,
    get code() {
      return (code ??= maskedCode(text));
    },
  };
}

function pathsOf(root: string): string[] {
  try {
    const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const listed = execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return [...new Set(listed.split('\0'))].filter((path) => path !== '');
  } catch {
    return walk(root, root);
  }
}

function walk(root: string, directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry: Dirent): string[] => {
    if (notCommitted.has(entry.name)) return [];
    const path = join(directory, entry.name);
    return entry.isDirectory() ? walk(root, path) : [relative(root, path).split(sep).join('/')];
  });
}
