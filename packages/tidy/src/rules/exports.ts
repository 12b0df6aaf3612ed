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

/** Shapes of other libraries, whose verbs are theirs; and a server, which a test stops to see what its users do. */
const withVerbsOfTheirOwn = new Set(['IoredisClient', 'KeyvStore', 'ProbedPool', 'ServerHandle']);
/** What is leased is released, and a fault is undone. */
const isLeased = (name: string): boolean => /(?:Lease|Fault)$/.test(name);

const ending = /^\t(?:end|stop|shutdown|destroy|quit|disconnect|teardown)\??\(/m;
const disposing = /^\t\[Symbol\.asyncDispose\]\(/m;

/** Whatever holds a connection, a timer or a file is closed by `close()`, whichever verbs its peers have. */
export function everythingIsClosedByOneVerb(repository: Repository): Violation[] {
  const surfaces = repository.files.filter(({ path }) => /^docs\/api\/\w+\.txt$/.test(path));
  return surfaces.flatMap((file) =>
    [...file.text.matchAll(/^(?:interface|class|abstract class) (\w+)[^\n]*\{\n(.*?)\n\}/gms)]
      .filter(([, name = '']) => !withVerbsOfTheirOwn.has(name) && !isLeased(name))
      .filter(([, , body = '']) => ending.test(body) || disposing.test(body))
      .filter(([, , body = '']) => !/^\tclose\(/m.test(body))
      .map(({ index, 1: name }) => violationAt(file, index, `${name} has no close()`)),
  );
}
