import { posix } from 'node:path';
import {
  type Repository,
  type RepositoryFile,
  type Violation,
  violationAt,
} from '../repository.ts';
import { importsOf } from '../source-text.ts';

const MAX_FILES = 15;
const CODE = /^(?:bench|packages\/[^/]+)\/.*\.[mc]?ts$/;

/** A folder has at most 15 files. */
export function foldersAreSmall(repository: Repository): Violation[] {
  const files = repository.files.filter(({ path }) => CODE.test(path));
  const byFolder = Map.groupBy(files, ({ path }) => posix.dirname(path));
  return [...byFolder].flatMap(([folder, own]) =>
    own.length <= MAX_FILES
      ? []
      : [{ path: folder, line: 1, message: `has ${own.length} files, over ${MAX_FILES}` }],
  );
}

/** Between two folders of a package that are not nested, imports run in one direction. */
export function siblingFoldersImportOneWay(repository: Repository): Violation[] {
  const edges = new Map<
    string,
    { file: RepositoryFile; index: number; from: string; to: string }
  >();
  for (const file of repository.files) {
    if (!/^packages\/[^/]+\/src\//.test(file.path)) continue;
    const from = posix.dirname(file.path);
    for (const { specifier, index } of importsOf(file.text, file.code)) {
      if (!specifier.startsWith('.')) continue;
      const to = posix.dirname(posix.join(from, specifier));
      if (isInside(from, to) || isInside(to, from)) continue;
      const key = `${from} ${to}`;
      if (!edges.has(key)) edges.set(key, { file, index, from, to });
    }
  }
  return [...edges.values()]
    .filter(({ from, to }) => from < to && edges.has(`${to} ${from}`))
    .map(({ file, index, from, to }) =>
      violationAt(file, index, `${from} and ${to} import each other`),
    );
}

function isInside(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(`${outer}/`);
}
