import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { type PublicName, publicNamesIn } from '../src/descriptions.ts';

const root = join(import.meta.dirname, '../../..');

const withoutDescription = (names: readonly PublicName[]): string[] =>
  names
    .filter(({ description }) => description.trim() === '')
    .map(({ at, kind, name }) => `${at} ${kind} ${name}`);

test('every export and every option of every published package says what it is', () => {
  const names = publicNamesIn(root);
  expect(new Set(names.map((name) => name.package)).size).toBeGreaterThan(14);
  expect(names.length).toBeGreaterThan(2_000);
  expect(withoutDescription(names)).toEqual([]);
});

test('an export, an option and a nested option without a description are reported, and an empty comment is none', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hf-names-'));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  const exports = { '.': './src/index.ts', './package.json': './package.json' };
  write('packages/queue/package.json', JSON.stringify({ name: '@holdfast/queue', exports }));
  write('packages/tidy/package.json', JSON.stringify({ name: '@holdfast/tidy', private: true }));
  write(
    'packages/queue/src/index.ts',
    "export { type QueueOptions, open, send } from './queue.ts';",
  );
  write(
    'packages/queue/src/queue.ts',
    `/** Options of open. */
export interface QueueOptions {
  /** In milliseconds. */
  waitMs?: number;
  /** */
  name?: string;
  /** Delays. */
  retry?: { firstMs?: number };
}
export function open(options: QueueOptions): void {}
/** @throws Error */
export function send(): void {}
/** Not exported by the index. */
export interface OtherOptions { field: string }
`,
  );
  try {
    expect(withoutDescription(publicNamesIn(folder))).toEqual([
      'packages/queue/src/queue.ts:6 option QueueOptions.name',
      'packages/queue/src/queue.ts:8 option QueueOptions.retry.firstMs',
      'packages/queue/src/queue.ts:10 export open',
      'packages/queue/src/queue.ts:12 export send',
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
