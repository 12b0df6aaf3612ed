import { posix } from 'node:path';
import {
  type Violation,
  type Repository,
  type RepositoryFile,
  matchesIn,
  violationAt,
} from '../repository.ts';
import { importsOf } from '../source-text.ts';

/** Files whose tool requires a default export. */
const defaultExporters = new Set([
  'jest.config.ts',
  'docs/.vitepress/config.ts',
  'packages/report/src/jest-reporter.ts',
  // Compatible with the default export of pg.
  'packages/database/src/pg.ts',
  'packages/suites/published/setup.ts',
  'packages/suites/published/teardown.ts',
  'packages/suites/mutation/first-failure.ts',
  'packages/suites/mutation/shortest-first.ts',
  'packages/suites/src/running/runner.ts',
  'packages/suites/src/running/sequencer.ts',
]);
const MAX_LINES = 400;
const catchAll = /^(?:utils?|helpers?|common|misc|shared|lib|interfaces|types)$/;

/** Every export is named. */
export function exportsAreNamed(repository: Repository): Violation[] {
  return typescriptIn(repository).flatMap((file) =>
    matchesIn(file, /\bexport\s+(?:type\s+)?\*|\bexport\s*\*/g, 'name the exports'),
  );
}

/** No default exports, except for tools that require one. */
export function nothingIsExportedByDefault(repository: Repository): Violation[] {
  return typescriptIn(repository)
    .filter(({ path }) => !defaultExporters.has(path))
    .flatMap((file) =>
      matchesIn(file, /\bexport\s+default\b|\bas\s+default\b/g, 'export it by its name'),
    );
}

/** An index starts with a comment that states the purpose of the package. */
export function indexesOpenWithAComment(repository: Repository): Violation[] {
  return typescriptIn(repository)
    .filter(({ path, text }) => posix.basename(path) === 'index.ts' && !/^\s*\/[*/]/.test(text))
    .map((file) => violationAt(file, 0, 'start with one sentence about the package'));
}

/** A package does not import its own index, because that causes import cycles. */
export function indexesAreForOthers(repository: Repository): Violation[] {
  return typescriptIn(repository).flatMap((file) => {
    const own = /^packages\/([^/]+)\/src\//.exec(file.path)?.[1];
    if (own === undefined) return [];
    return importsOf(file.text, file.code)
      .filter(({ specifier }) => isOwnIndex(own, file, specifier))
      .map(({ specifier, index }) =>
        violationAt(file, index, `import the file itself instead of '${specifier}'`),
      );
  });
}

/** No file or folder has a catch-all name. */
export function noCatchAllNames(repository: Repository): Violation[] {
  return repository.files
    .filter(({ path }) =>
      path.split('/').some((segment) => catchAll.test(segment.split('.')[0] ?? '')),
    )
    .map((file) => violationAt(file, 0, 'name it after its contents'));
}

/** A source has at most 400 lines. */
export function filesAreShort(repository: Repository): Violation[] {
  return typescriptIn(repository).flatMap((file) => {
    const lines = file.text.trimEnd().split('\n').length;
    if (lines <= MAX_LINES) return [];
    return [
      { path: file.path, line: MAX_LINES + 1, message: `has ${lines} lines, over ${MAX_LINES}` },
    ];
  });
}

function typescriptIn({ files }: Repository): RepositoryFile[] {
  return files.filter(({ path }) => /\.[mc]?ts$/.test(path));
}

function isOwnIndex(own: string, file: RepositoryFile, specifier: string): boolean {
  if (specifier === `@holdfast/${own}` || specifier.startsWith(`@holdfast/${own}/`)) return true;
  if (!specifier.startsWith('.')) return false;
  const target = posix.join(posix.dirname(file.path), specifier);
  return target === `packages/${own}/src/index.ts` || target === `packages/${own}/src`;
}
