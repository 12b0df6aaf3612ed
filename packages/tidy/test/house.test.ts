import { describe, expect, test } from '@jest/globals';
import { type Rule, repositoryOf } from '../src/repository.ts';
import {
  architectureAgreesWithImports,
  defaultsAreThoseOfTheCode,
  packagesThatAreNamedExist,
  readmesAreShort,
  tablesFitOnAScreen,
} from '../src/rules/documents.ts';
import { environmentHasOneDoor } from '../src/rules/time-and-random.ts';
import { exportedTypesHaveOneMeaning, exportsAreUsed } from '../src/rules/exports.ts';
import { foldersAreSmall, siblingFoldersImportOneWay } from '../src/rules/folders.ts';
import { unionsAreTaggedByKind } from '../src/rules/unions.ts';
import { namesAreStandardTerms, privateWords, testNamesAreSentences } from '../src/rules/words.ts';

const source = 'packages/queue/src/queue.ts';

function violationsOf(rule: Rule, files: Readonly<Record<string, string>>): string[] {
  return rule(repositoryOf(files)).map(({ path, line }) => `${path}:${line}`);
}

describe('folders', () => {
  test('a folder of sixteen files is reported, and one of fifteen passes', () => {
    const files = (count: number): Record<string, string> =>
      Object.fromEntries(
        Array.from({ length: count }, (_, at) => [`packages/a/src/f${at}.ts`, '']),
      );
    expect(violationsOf(foldersAreSmall, files(15))).toEqual([]);
    expect(violationsOf(foldersAreSmall, files(16))).toEqual(['packages/a/src:1']);
  });

  test('sibling folders that import each other are reported once, and a folder and its parent are not', () => {
    const both = {
      'packages/a/src/one/x.ts': "import { y } from '../two/y.ts';",
      'packages/a/src/two/y.ts': "import type { X } from '../one/z.ts';",
    };
    expect(violationsOf(siblingFoldersImportOneWay, both)).toEqual(['packages/a/src/one/x.ts:1']);
    const parent = {
      'packages/a/src/x.ts': "import { y } from './two/y.ts';",
      'packages/a/src/two/y.ts': "import type { X } from '../x.ts';",
    };
    expect(violationsOf(siblingFoldersImportOneWay, parent)).toEqual([]);
  });
});

describe('exports', () => {
  test('an export that no other file imports is reported, and one in an index passes', () => {
    const file = { [source]: 'export const used = 1;\nexport function unused(): void {}' };
    const index = { 'packages/queue/src/index.ts': "export { used } from './queue.ts';" };
    expect(violationsOf(exportsAreUsed, { ...file, ...index })).toEqual([`${source}:2`]);
    const manifest = {
      'packages/queue/package.json': JSON.stringify({ exports: { '.': './src/queue.ts' } }),
    };
    expect(violationsOf(exportsAreUsed, { ...file, ...index, ...manifest })).toEqual([]);
  });

  test('two exported types of one name are reported at the second', () => {
    const files = {
      'packages/a/src/a.ts': 'export interface Lease {}\ninterface Entry {}',
      'packages/b/src/b.ts': 'export type Lease = string;\nexport interface Entry {}',
    };
    expect(violationsOf(exportedTypesHaveOneMeaning, files)).toEqual(['packages/b/src/b.ts:1']);
  });
});

test.each<[string, Rule, string, string[], string[]]>([
  [
    'a union with another tag than kind',
    unionsAreTaggedByKind,
    source,
    [
      "type A = | { readonly at: 'start' } | { readonly kind: 'b' };",
      "type A =\n  | { is: 'b'; c: 1 };",
    ],
    ["type A = | { readonly kind: 'a' };", "interface Column { readonly type: 'text' }"],
  ],
  [
    'a private word in a name',
    namesAreStandardTerms,
    source,
    ['class Lane {}', 'const nextLane = 1;', 'this.#laneOf(1);', 'const serialised = 1;'],
    ['// a lane', 'const planet = 1;', "const text = 'lane';"],
  ],
  [
    'a label in a test name',
    testNamesAreSentences,
    'packages/queue/test/a.test.ts',
    [["test('", "13: it waits', run);"].join('H')],
    ["test('it waits for H13', run);"],
  ],
  [
    'a direct read of the environment',
    environmentHasOneDoor,
    source,
    ["const path = process.env['PATH'];"],
    ['const { PATH } = environment;'],
  ],
  [
    'a table that is too wide',
    tablesFitOnAScreen,
    'packages/queue/README.md',
    ['| a | b | c | d | e |', `| ${'x'.repeat(61)} |`],
    [
      '| a | b | c | d |',
      `| [${'x'.repeat(60)}](https://example.org/long) |`,
      `\`\`\`\n| ${'x'.repeat(61)} |\n\`\`\``,
    ],
  ],
  [
    'a README that is too long',
    readmesAreShort,
    'README.md',
    ['\n'.repeat(90) + 'end'],
    ['\n'.repeat(89) + 'end', `${'\n'.repeat(88)}end\n\n<!-- context\n${'\n'.repeat(9)}-->\n`],
  ],
  [
    'a package that does not exist',
    packagesThatAreNamedExist,
    'README.md',
    ['see @holdfast/ghost', 'see packages/ghost/src'],
    ['see packages and holdfast'],
  ],
])('%s is reported, and text that only looks like it is not', (_, rule, path, caught, passed) => {
  for (const text of caught) {
    const violations = violationsOf(rule, { [path]: text });
    expect({ text, violations: violations.length }).toEqual({ text, violations: 1 });
  }
  for (const text of passed) {
    expect({ text, violations: violationsOf(rule, { [path]: text }) }).toEqual({
      text,
      violations: [],
    });
  }
});

test('a file with a private word in its name is reported', () => {
  expect(violationsOf(namesAreStandardTerms, { 'packages/queue/src/lane.ts': '' })).toHaveLength(1);
  expect(Object.keys(privateWords)).toContain('lane');
});

test('a package that the architecture page lacks, or lists with other imports, is reported', () => {
  const files = (row: string): Record<string, string> => ({
    'docs/architecture.md': `# Architecture\n\n${row}\n`,
    'packages/queue/package.json': JSON.stringify({
      dependencies: { '@holdfast/journal': 'workspace:^', ioredis: '6.0.0' },
      devDependencies: { '@holdfast/stage': 'workspace:^' },
    }),
  });
  const violations = (row: string): string[] =>
    violationsOf(architectureAgreesWithImports, files(row));
  expect(violations('| `queue` | jobs | journal |')).toEqual([]);
  expect(violations('| `queue` | jobs | journal, stage |')).toEqual(['docs/architecture.md:3']);
  expect(violations('| `storage` | objects | – |')).toEqual(['docs/architecture.md:1']);
});

test('a default that a table states is that of the code of its folder', () => {
  const table = (option: string, value: string): string =>
    ['| Option | Default | Effect |', '| --- | --- | --- |', `| ${option} | ${value} | – |`].join(
      '\n',
    );
  const files = (scope: string, option: string, value: string): Record<string, string> => ({
    'docs/tuning.md': `<!-- defaults: ${scope} -->\n\n${table(option, value)}\n`,
    'packages/queue/src/options.ts': [
      'const schema = {',
      '  waitMs: integer({ min: 1, default: 5_000 }),',
      '  maxBytes: integer({ default: 64 * MIB }),',
      '  ttlMs: milliseconds(30 * DAY_MS), // 7_000',
      '  idleMs: idleRule,',
      '};',
      'const idleRule = integer({ default: 20 });',
      'const GRACE_MS = 500;',
    ].join('\n'),
  });
  const found = (scope: string, option: string, value: string): string[] =>
    violationsOf(defaultsAreThoseOfTheCode, files(scope, option, value));
  const own = 'packages/queue/src';
  expect(found(own, '`waitMs`, `maxBytes`', '5 000, 64 MiB')).toEqual([]);
  expect(found(own, '`queue.ttlMs` of a topic', '30 days')).toEqual([]);
  expect(found(own, '`idleMs`', '20, or less')).toEqual([]);
  expect(found(own, '`graceMs`', '500')).toEqual([]);
  expect(found(own, '`waitMs`', 'none')).toEqual([]);
  expect(found(own, '`waitMs`, `maxBytes`', '5 000, 32 MiB')).toEqual(['docs/tuning.md:5']);
  expect(found(own, '`ttlMs`', '7 000')).toHaveLength(1);
  expect(found(own, '`waitMs`', '1')).toHaveLength(1);
  expect(found('packages/cache/src', '`waitMs`', '5 000')).toHaveLength(1);
});
