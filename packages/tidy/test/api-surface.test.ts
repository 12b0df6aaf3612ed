import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { apiSurfaceOf } from '../src/api-surface.ts';
import { publishedPackagesIn, readRepository } from '../src/repository.ts';

const root = join(import.meta.dirname, '../../..');
const published = publishedPackagesIn(readRepository(root)).map(({ name }) => name);

test.each(published)(
  'the published types of %s are those in docs/api (else run `pnpm api`)',
  (name) => {
    const recorded = readFileSync(join(root, 'docs/api', `${name}.txt`), 'utf8');
    expect(apiSurfaceOf(join(root, 'packages', name))).toBe(recorded);
  },
);

test('the published types follow re-exports, keep overloads together, and have no comments or bodies', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-surface-'));
  const write = (path: string, text: string): void => writeFileSync(join(directory, path), text);
  try {
    mkdirSync(join(directory, 'src'));
    write(
      'package.json',
      JSON.stringify({ name: '@holdfast/a', exports: { '.': './src/index.ts' } }),
    );
    write('src/index.ts', "export { type Options, open as openA } from './open.ts';");
    write(
      'src/open.ts',
      [
        '/** What opening takes. */',
        'export interface Options {',
        '  /** A name. */',
        '  readonly name: string;',
        '}',
        'interface Hidden {}',
        'export function open(options: Options): string;',
        'export function open(name: string): string;',
        'export function open(given: unknown): string {',
        '  return String(given);',
        '}',
      ].join('\n'),
    );
    const surface = apiSurfaceOf(directory);
    expect(
      surface
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== ''),
    ).toEqual([
      '// @holdfast/a',
      'interface Options {',
      'readonly name: string;',
      '}',
      '// openA is open',
      'function open(options: Options): string;',
      'function open(name: string): string;',
    ]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
