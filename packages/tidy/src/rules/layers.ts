import { posix } from 'node:path';
import {
  type Violation,
  type Package,
  type Repository,
  type RepositoryFile,
  objectIn,
  violationAt,
} from '../repository.ts';
import { importsOf } from '../source-text.ts';

/** The production packages, lowest layer first: a package imports only from the lines above its own. */
const layers: readonly (readonly string[])[] = [
  ['foundation'],
  ['protocols'],
  ['resilience', 'journal'],
  ['network'],
  ['cache', 'queue', 'storage', 'database'],
  ['operations'],
  ['catalog', 'atlas', 'publisher'],
];

/** The packages for testing, and the packages that each may import. No production package may import them. */
const testPackages: Readonly<Record<string, readonly string[]>> = {
  faults: ['foundation', 'protocols', 'resilience'],
  emulators: ['foundation', 'protocols', 'resilience', 'faults'],
  stage: ['foundation', 'protocols', 'resilience', 'faults', 'emulators'],
  report: ['foundation'],
  cli: [...layers.flat(), 'faults', 'emulators', 'stage', 'report'],
  site: [],
  suites: [...layers.flat(), 'faults', 'emulators', 'stage', 'report', 'cli', 'site'],
  tidy: [],
};

/** The packages that the tests of every package may import as well. */
const forTests: readonly string[] = ['protocols', 'faults', 'emulators', 'stage', 'report'];

/** The documents show every package, so that their tests need all of them. */
const forDocuments: readonly string[] = layers.flat();

const SCOPE = '@holdfast/';
const shippedDependencies = ['dependencies', 'peerDependencies', 'optionalDependencies'];

/** A source imports only packages of lower layers, and never a file of another package. */
export function importsRunDown(repository: Repository): Violation[] {
  return repository.files.flatMap((file) => {
    const [, own, part] = /^packages\/([^/]+)\/(\w+)\/.*\.[mc]?ts$/.exec(file.path) ?? [];
    if (own === undefined) return [];
    return importsOf(file.text, file.code).flatMap(({ specifier, index }) => {
      const message = misstep(own, part === 'src', specifier, file);
      return message === undefined ? [] : [violationAt(file, index, message)];
    });
  });
}

/** A benchmark imports packages by name; like a test, it may import files of the package that it is named after. */
export function benchmarksImportByName(repository: Repository): Violation[] {
  return repository.files.flatMap((file) => {
    const own = /^bench\/([\w-]+)[./]/.exec(file.path)?.[1];
    if (own === undefined) return [];
    return importsOf(file.text, file.code).flatMap(({ specifier, index }) => {
      if (!specifier.startsWith('.')) return [];
      const target = posix.join(posix.dirname(file.path), specifier);
      if (target.startsWith('bench/') || target.startsWith(`packages/${own}/src/`)) return [];
      return [
        violationAt(file, index, `'${specifier}' belongs to another package; import it by name`),
      ];
    });
  });
}

/** A manifest depends only on packages of lower layers. */
export function dependenciesRunDown(repository: Repository): Violation[] {
  return repository.packages.flatMap((unit) => {
    if (permitted(unit.name, true) === undefined) {
      return [{ path: unit.path, line: 1, message: `${unit.name} is not in the list of layers` }];
    }
    return [...shippedDependencies, 'devDependencies'].flatMap((kind) => {
      const allowed = permitted(unit.name, kind !== 'devDependencies') ?? [];
      return workspaceNames(unit, [kind])
        .filter((name) => !allowed.includes(name))
        .map((name) => {
          const message = `${kind} name ${SCOPE}${name}, which is not in a layer below ${unit.name}`;
          return inManifest(repository, unit, `"${SCOPE}${name}"`, message);
        });
    });
  });
}

/**
 * The project references of a package are exactly the dependencies in its manifest. The references of the root are
 * the packages that are built, without private ones.
 */
export function referencesAreDependencies(repository: Repository): Violation[] {
  const withSource = repository.packages.filter(
    ({ name, manifest }) =>
      manifest['private'] !== true &&
      repository.files.some(({ path }) => path.startsWith(`packages/${name}/src/`)),
  );
  const perPackage = withSource.flatMap((unit) =>
    compare(
      repository,
      `packages/${unit.name}/tsconfig.json`,
      workspaceNames(unit, shippedDependencies),
      'the dependencies of package.json',
    ),
  );
  const sources = withSource.map(({ name }) => name);
  return [
    ...perPackage,
    ...compare(repository, 'tsconfig.json', sources, 'the packages that are built'),
  ];
}

function misstep(
  own: string,
  isShipped: boolean,
  specifier: string,
  file: RepositoryFile,
): string | undefined {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(file.path), specifier);
    return target.startsWith(`packages/${own}/`)
      ? undefined
      : `'${specifier}' leaves the package; import it by name`;
  }
  const name = nameIn(specifier);
  if (name === undefined || name === own) return undefined;
  if (permitted(own, isShipped)?.includes(name) === true) return undefined;
  return `'${specifier}' is not in a layer below ${own}`;
}

/** The packages that a package may import; undefined for a package that is not in the list. */
function permitted(name: string, isShipped: boolean): readonly string[] | undefined {
  const level = layers.findIndex((layer) => layer.includes(name));
  const names = level === -1 ? testPackages[name] : layers.slice(0, level).flat();
  if (names === undefined) return undefined;
  if (isShipped) return names;
  return [...names, ...forTests, ...(name === 'site' ? forDocuments : [])];
}

function nameIn(specifier: string): string | undefined {
  return specifier.startsWith(SCOPE) ? specifier.slice(SCOPE.length).split('/')[0] : undefined;
}

function workspaceNames({ manifest }: Package, kinds: readonly string[]): string[] {
  const names = kinds.flatMap((kind) => Object.keys(objectIn(manifest[kind])));
  return [...new Set(names)].flatMap((name) => nameIn(name) ?? []);
}

function compare(
  repository: Repository,
  path: string,
  wanted: readonly string[],
  source: string,
): Violation[] {
  const file = repository.find(path);
  if (file === undefined) return [{ path, line: 1, message: 'is missing' }];
  const references = [...file.text.matchAll(/"path"\s*:\s*"([^"]+)"/g)]
    .filter(({ index }) => file.code[index] === '"')
    .map(({ index, 1: target = '' }) => ({ name: posix.basename(target), index }));
  const known = new Set(references.map(({ name }) => name));
  return [
    ...references
      .filter(({ name }) => !wanted.includes(name))
      .map(({ name, index }) => violationAt(file, index, `${name} is not among ${source}`)),
    ...wanted
      .filter((name) => !known.has(name))
      .map((name) => ({ path, line: 1, message: `references lack ${name}, one of ${source}` })),
  ];
}

function inManifest(
  repository: Repository,
  unit: Package,
  text: string,
  message: string,
): Violation {
  const file = repository.find(unit.path);
  const index = file?.text.indexOf(text) ?? -1;
  if (file === undefined || index === -1) return { path: unit.path, line: 1, message };
  return violationAt(file, index, message);
}
