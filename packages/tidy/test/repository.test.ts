/* oxlint-disable jest/no-standalone-expect -- withGit is test, or test.skip where there is no git */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readRepository } from '../src/repository.ts';
import { maskedCode } from '../src/source-text.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-tidy-'));
  const write = (path: string, text: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  write('packages/queue/src/queue.ts', 'export const a = 1;');
  write('packages/queue/dist/queue.js', 'built');
  write('packages/queue/package.json', '{}');
  write('node_modules/a/index.js', 'foreign');
  write('fixtures/picture.bin', 'a\0b');
  write('.gitignore', 'node_modules\ndist\n');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const committed = ['.gitignore', 'packages/queue/package.json', 'packages/queue/src/queue.ts'];

const hasGit = spawnSync('git', ['--version']).status === 0;
// Without git no file is ignored.
const withGit = hasGit ? test : test.skip;
const reason = hasGit ? '' : " (there is no git on PATH: 'apt-get install git')";

withGit(`the rules cover every file that git does not ignore, committed or not${reason}`, () => {
  execFileSync('git', ['init', '--quiet'], { cwd: root });
  execFileSync('git', ['add', 'packages/queue/src/queue.ts'], { cwd: root });
  const { files, packages } = readRepository(root);
  expect(files.map(({ path }) => path).toSorted()).toEqual(committed);
  expect(packages.map(({ name }) => name)).toEqual(['queue']);
});

test('without git the rules cover all files except those never committed', () => {
  expect(
    readRepository(root)
      .files.map(({ path }) => path)
      .toSorted(),
  ).toEqual(committed);
});

test.each([
  ['a; // b', 'a;     '],
  ["f('it\\'s', b)", "f('     ', b)"],
  ['a /* b\nc */ d', 'a     \n     d'],
  ['`a${b}c${`d${e}`}f`', '` ${b} ${` ${e}`} `'],
  ['`${{ a: `}` }}`', '`${{ a: ` ` }}`'],
  ['a / b / c', 'a / b / c'],
  ['return /[/"]/g.test(a)', 'return /     g.test(a)'],
  ['f(/\\//, "x")', 'f(/   , " ")'],
])('only the code of %s is left', (text, code) => {
  expect(maskedCode(text)).toBe(code);
});
