import { expect, test } from '@jest/globals';
import { repositoryOf } from '../src/repository.ts';
import {
  benchmarksImportByName,
  dependenciesRunDown,
  importsRunDown,
  referencesAreDependencies,
} from '../src/rules/layers.ts';

function importing(path: string, specifier: string): number {
  return importsRunDown(repositoryOf({ [path]: `import { a } from '${specifier}';` })).length;
}

test.each([
  ['packages/journal/src/a.ts', '@holdfast/queue'],
  ['packages/resilience/src/a.ts', '@holdfast/journal'],
  ['packages/queue/src/a.ts', '@holdfast/storage'],
  ['packages/foundation/src/a.ts', '@holdfast/resilience'],
  ['packages/queue/src/a.ts', '@holdfast/stage'],
  ['packages/storage/src/a.ts', '@holdfast/faults/tcp'],
  ['packages/resilience/src/a.ts', '@holdfast/network'],
  ['packages/network/src/a.ts', '@holdfast/emulators'],
  ['packages/faults/src/a.ts', '@holdfast/emulators'],
  ['packages/faults/src/a.ts', '@holdfast/journal'],
  ['packages/faults/src/a.ts', '@holdfast/unheard-of'],
  ['packages/queue/src/a.ts', '../../journal/src/segments/segment.ts'],
  ['packages/queue/test/a.test.ts', '../../journal/src/segments/segment.ts'],
  ['packages/queue/test/a.test.ts', '@holdfast/storage'],
])('%s may not import %s', (path, specifier) => {
  expect(importing(path, specifier)).toBe(1);
});

test.each([
  ['packages/queue/src/a.ts', '@holdfast/foundation/testing'],
  ['packages/storage/src/a.ts', '@holdfast/journal'],
  ['packages/stage/src/a.ts', '@holdfast/faults'],
  ['packages/suites/test/a.test.ts', '@holdfast/queue'],
  ['packages/queue/test/a.test.ts', '@holdfast/stage'],
  ['packages/queue/test/redis/a.test.ts', '../../src/a.ts'],
  ['packages/network/src/a.ts', '@holdfast/protocols/dns'],
  ['packages/queue/src/a.ts', 'ioredis'],
])('%s may import %s', (path, specifier) => {
  expect(importing(path, specifier)).toBe(0);
});

test.each([
  ['bench/queue.ts', '../packages/queue/src/index.ts', 0],
  ['bench/queue/rounds.ts', '../../packages/queue/src/index.ts', 0],
  ['bench/queue.ts', '@holdfast/stage', 0],
  ['bench/queue.ts', './rounds.ts', 0],
  ['bench/queue.ts', '../packages/stage/src/index.ts', 1],
])('%s with an import of %s has %i violations', (path, specifier, count) => {
  const repository = repositoryOf({ [path]: `import { a } from '${specifier}';` });
  expect(benchmarksImportByName(repository)).toHaveLength(count);
});

const manifestOf = (manifest: object): string => JSON.stringify(manifest, null, 2);

test('a dependency on a higher layer is reported with its line', () => {
  const repository = repositoryOf({
    'packages/journal/package.json': manifestOf({
      dependencies: { '@holdfast/queue': 'workspace:^' },
    }),
    'packages/queue/package.json': manifestOf({
      dependencies: { '@holdfast/journal': 'workspace:^', ioredis: '6.0.0' },
      devDependencies: { '@holdfast/stage': 'workspace:^' },
    }),
  });
  expect(dependenciesRunDown(repository)).toMatchObject([
    { path: 'packages/journal/package.json', line: 3 },
  ]);
});

test('a test package among production dependencies is reported, and a package without a layer', () => {
  const repository = repositoryOf({
    'packages/queue/package.json': manifestOf({ peerDependencies: { '@holdfast/faults': '*' } }),
    'packages/novelty/package.json': '{}',
  });
  expect(dependenciesRunDown(repository).map(({ path }) => path)).toEqual([
    'packages/queue/package.json',
    'packages/novelty/package.json',
  ]);
});

test('a missing reference, an extra one, and one in a comment are distinguished', () => {
  const repository = repositoryOf({
    'tsconfig.json': '{ "references": [{ "path": "packages/queue" }] }',
    'packages/queue/package.json': manifestOf({
      dependencies: { '@holdfast/journal': '*', '@holdfast/resilience': '*' },
    }),
    'packages/queue/src/queue.ts': '',
    'packages/queue/tsconfig.json': `{
      // { "path": "../journal" }
      "references": [{ "path": "../resilience" },
        { "path": "../cache" }]
    }`,
    'packages/journal/package.json': '{}',
    'packages/journal/src/journal.ts': '',
    'packages/suites/package.json': '{ "private": true }',
    'packages/suites/src/load.ts': '',
  });
  expect(
    referencesAreDependencies(repository).map(
      ({ path, line, message }) => `${path}:${line} ${message}`,
    ),
  ).toEqual([
    'packages/queue/tsconfig.json:4 cache is not among the dependencies of package.json',
    'packages/queue/tsconfig.json:1 references lack journal, one of the dependencies of package.json',
    'packages/journal/tsconfig.json:1 is missing',
    'tsconfig.json:1 references lack journal, one of the packages that are built',
  ]);
});
