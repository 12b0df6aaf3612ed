import { posix } from 'node:path';
import {
  type Repository,
  type RepositoryFile,
  type Violation,
  objectIn,
  violationAt,
} from '../repository.ts';

const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:class|interface|type|function\*?|const|let|enum) (\w+)/gm;
const MEANING = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|enum) (\w+)/gm;
const SOURCE = /^packages\/[^/]+\/src\/.*\.ts$/;

/** Every export is imported by another file, or is part of an entry point. */
export function exportsAreUsed(repository: Repository): Violation[] {
  const entryPoints = entryPointsIn(repository);
  const users = repository.files.filter(({ path }) => /\.[mc]?[jt]s$/.test(path));
  const names = new Map<string, Set<string>>();
  for (const { path, code } of users) {
    for (const [name] of code.matchAll(/\b[A-Za-z_]\w*/g)) {
      const paths = names.get(name) ?? new Set();
      names.set(name, paths.add(path));
    }
  }
  return repository.files
    .filter(({ path }) => SOURCE.test(path) && !entryPoints.has(path))
    .flatMap((file) =>
      [...file.code.matchAll(DECLARATION)]
        .filter(({ 1: name = '' }) => (names.get(name)?.size ?? 0) < 2)
        .map(({ 1: name = '', index }) =>
          violationAt(file, index, `nobody imports ${name}: do not export it`),
        ),
    );
}

/** An exported type has one meaning in the repository. */
export function exportedTypesHaveOneMeaning(repository: Repository): Violation[] {
  const owners = new Map<string, RepositoryFile>();
  return repository.files
    .filter(({ path }) => SOURCE.test(path))
    .flatMap((file) =>
      [...file.code.matchAll(MEANING)]
        .filter(([declaration]) => declaration.startsWith('export'))
        .flatMap(({ 1: name = '', index }) => {
          const owner = owners.get(name);
          if (owner === undefined) {
            owners.set(name, file);
            return [];
          }
          if (owner === file) return [];
          return [violationAt(file, index, `${name} means something else in ${owner.path}`)];
        }),
    );
}

function entryPointsIn({ packages }: Repository): Set<string> {
  const paths = packages.flatMap(({ path, manifest }) =>
    Object.values(objectIn(manifest['exports'])).flatMap((source) =>
      typeof source === 'string' ? [posix.join(posix.dirname(path), source)] : [],
    ),
  );
  return new Set(paths);
}
