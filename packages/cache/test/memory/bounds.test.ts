import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { createMemoryCache } from '@holdfast/cache';

const KIB = 1_024;
const run = promisify(execFile);

test('the memory that the process takes is at most 1.15 times the bound, whatever the values are', async () => {
  const main = join(import.meta.dirname, '../heap-main.ts');
  const { stdout } = await run(process.execPath, ['--expose-gc', main]);
  const measured: { name: string; ratio: number }[] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(measured.length).toBeGreaterThan(15);
  expect(measured.filter(({ ratio }) => ratio > 1.15)).toStrictEqual([]);
});

test('after each set the entries are within the bound', () => {
  const cache = createMemoryCache({ maxBytes: 64 * KIB });
  const over: number[] = [];
  for (let at = 0; at < 2_000; at += 1) {
    cache.set(`key ${at % 700}`, 'x'.repeat((at * 37) % 3_000));
    if (cache.getStats().bytes > 64 * KIB) over.push(at);
  }
  expect(over).toStrictEqual([]);
  expect(cache.getStats().evictions).toBeGreaterThan(100);
  expect(cache.getStats().bytes).toBeGreaterThan(48 * KIB);
});

test('after each set there are at most as many entries as permitted', () => {
  const cache = createMemoryCache({ maxEntries: 10 });
  for (let at = 0; at < 100; at += 1) cache.set(`key ${at}`, at);
  expect(cache.getStats()).toMatchObject({ entries: 10, evictions: 90 });
  expect(cache.keys()).toHaveLength(10);
});

test('a value that is too large is not kept, evicts nothing, and leaves no older value behind', () => {
  const cache = createMemoryCache({ maxBytes: 64 * KIB });
  for (let at = 0; at < 20; at += 1) cache.set(`key ${at}`, 'x'.repeat(1_000));
  expect(cache.set('key 0', 'x'.repeat(8 * KIB))).toMatchObject({ kind: 'too-large' });
  expect(cache.has('key 0')).toBe(false);
  expect(cache.getStats()).toMatchObject({ entries: 19, evictions: 0, tooLarge: 1 });
});

test('when all entries are gone, none of their bytes are counted', () => {
  const cache = createMemoryCache();
  for (let at = 0; at < 500; at += 1) cache.set(`key ${at}`, { at });
  for (let at = 0; at < 500; at += 2) cache.set(`key ${at}`, 'x'.repeat(at));
  for (const key of cache.keys()) expect(cache.delete(key)).toBe(true);
  expect(cache.getStats()).toMatchObject({ entries: 0, bytes: 0 });
  expect(cache.delete('key 0')).toBe(false);
  cache.set('key 0', 1);
  cache.clear();
  expect(cache.getStats()).toMatchObject({ entries: 0, bytes: 0 });
});
