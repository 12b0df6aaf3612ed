import { expect, test } from '@jest/globals';
import { type Rule, repositoryOf } from './repository.ts';
import { entryPointsAgree, packagesLookAlike } from './rules/manifests.ts';

const good = {
  name: '@holdfast/queue',
  description: 'Jobs.',
  license: 'MIT',
  type: 'module',
  exports: { '.': './src/index.ts', './contract': './src/contract.ts' },
  publishConfig: { exports: { '.': './dist/index.js', './contract': './dist/contract.js' } },
  engines: { node: '>=22' },
};

function offences(rule: Rule, fields: object, without?: string): string[] {
  const files: Record<string, string> = {
    'package.json': JSON.stringify({ engines: { node: '>=22' } }),
    'packages/queue/README.md': '# queue',
    'packages/queue/src/index.ts': '',
    'packages/queue/src/contract.ts': '',
    'packages/queue/package.json': JSON.stringify({ ...good, ...fields }),
  };
  if (without !== undefined) delete files[without];
  return rule(repositoryOf(files)).map(({ says }) => says);
}

test('a package like the others passes', () => {
  for (const rule of [packagesLookAlike, entryPointsAgree]) {
    expect(offences(rule, {})).toEqual([]);
  }
});

test.each([
  [packagesLookAlike, { license: 'ISC' }],
  [packagesLookAlike, { name: 'queue' }],
  [packagesLookAlike, { type: 'commonjs' }],
  [packagesLookAlike, { engines: { node: '>=20' } }],
  [entryPointsAgree, { exports: { '.': './src/index.ts' } }],
  [entryPointsAgree, { publishConfig: { exports: { '.': './dist/index.js' } } }],
  [entryPointsAgree, { exports: { ...good.exports, './contract': './dist/contract.js' } }],
])('%p catches %p', (rule, fields) => {
  expect(offences(rule, fields)).toHaveLength(1);
});

test('a missing README and an entry point without its source are caught', () => {
  expect(offences(packagesLookAlike, {}, 'packages/queue/README.md')).toEqual([
    'README.md is missing',
  ]);
  expect(offences(entryPointsAgree, {}, 'packages/queue/src/contract.ts')).toHaveLength(1);
});
