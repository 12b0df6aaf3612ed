import { expect, test } from '@jest/globals';
import { type Rule, repositoryOf } from '../src/repository.ts';
import {
  entryPointsAgree,
  packagesLookAlike,
  publishedPackagesAreDescribed,
} from '../src/rules/manifests.ts';

const good = {
  name: '@holdfast/queue',
  description: 'Jobs.',
  license: 'MIT',
  type: 'module',
  version: '0.1.0',
  keywords: ['jobs'],
  homepage: 'https://example.com/holdfast/tree/main/packages/queue#readme',
  bugs: 'https://example.com/holdfast/issues',
  repository: {
    type: 'git',
    url: 'git+https://example.com/holdfast.git',
    directory: 'packages/queue',
  },
  files: ['dist', 'src', 'CHANGELOG.md'],
  sideEffects: false,
  exports: {
    '.': './src/index.ts',
    './contract': './src/contract.ts',
    './package.json': './package.json',
  },
  publishConfig: { access: 'public' },
  scripts: { prepack: 'node ../../pack.mjs prepare', postpack: 'node ../../pack.mjs restore' },
  engines: { node: '>=22' },
};

function violations(rule: Rule, fields: object, without?: string): string[] {
  const files: Record<string, string> = {
    'package.json': JSON.stringify({
      engines: { node: '>=22' },
      repository: { url: good.repository.url },
    }),
    'packages/queue/README.md': '# queue',
    'packages/queue/src/index.ts': '',
    'packages/queue/src/contract.ts': '',
    'packages/queue/package.json': JSON.stringify({ ...good, ...fields }),
  };
  if (without !== undefined) delete files[without];
  return rule(repositoryOf(files)).map(({ message }) => message);
}

test('a package like the others passes', () => {
  for (const rule of [packagesLookAlike, entryPointsAgree, publishedPackagesAreDescribed]) {
    expect(violations(rule, {})).toEqual([]);
  }
});

test.each([
  [packagesLookAlike, { license: 'ISC' }],
  [packagesLookAlike, { name: 'queue' }],
  [packagesLookAlike, { type: 'commonjs' }],
  [packagesLookAlike, { engines: { node: '>=20' } }],
  [entryPointsAgree, { exports: { '.': './src/index.ts' } }],
  [entryPointsAgree, { exports: { './package.json': './package.json' } }],
  [publishedPackagesAreDescribed, { files: ['dist'] }],
  [publishedPackagesAreDescribed, { keywords: [] }],
  [publishedPackagesAreDescribed, { bugs: 'https://example.com/other' }],
  [publishedPackagesAreDescribed, { repository: { ...good.repository, directory: 'packages/x' } }],
  [publishedPackagesAreDescribed, { publishConfig: {} }],
  [publishedPackagesAreDescribed, { scripts: {} }],
  [entryPointsAgree, { exports: { ...good.exports, './contract': './dist/contract.js' } }],
])('%p catches %p', (rule, fields) => {
  expect(violations(rule, fields)).toHaveLength(1);
});

test('a missing README and an entry point without its source are reported', () => {
  expect(violations(packagesLookAlike, {}, 'packages/queue/README.md')).toEqual([
    'README.md is missing',
  ]);
  expect(violations(entryPointsAgree, {}, 'packages/queue/src/contract.ts')).toHaveLength(1);
});
