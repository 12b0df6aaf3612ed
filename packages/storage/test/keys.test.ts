import { expect, test } from '@jest/globals';
import { assert, property, string } from 'fast-check';
import { seededRandom } from '@holdfast/resilience';
import { supabaseBackend } from '../src/backends/supabase/backend.ts';
import { diskName } from '../src/disk-name.ts';
import { anyKeys, keyPath, refuseKey, supabaseKeys } from '../src/key.ts';

const RUNS = Number(process.env['HOLDFAST_RUNS'] ?? 100_000);
const SEED = 20_261_122;

/** Pieces that clients, gateways and servers have rewritten. */
const pieces = [
  '..', '.', '/', '//', '\\', '%2e', '%2E%2e', '%252e', '%2f', '%5c', '?', '#', '%', '%41', '&', '=',
  '+', ' ', '\t', '\n', '\0', '\u007f', '\u0085', '\u2028', 'é', 'e\u0301', '鍵', '\ud800', '😀', ':',
  '@', '//evil', 'A', 'a', 'bucket', '../other', ';', '|', '<', '~', 'x'.repeat(250),
]; // prettier-ignore

test('of 100,000 fuzzed keys none is rewritten and none leaves its bucket', () => {
  const random = seededRandom(SEED);
  let taken = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const length = 1 + Math.floor(random() * 6);
    let key = '';
    for (let piece = 0; piece < length; piece += 1) {
      key += pieces[Math.floor(random() * pieces.length)] ?? '';
    }
    if (refuseKey(key, anyKeys) !== undefined) continue;
    taken += 1;
    // What a URL parser and a server that decodes once make of it.
    const { pathname, search, hash } = new URL(`http://host/object/bucket/${keyPath(key)}`);
    const stored = pathname.replace('/object/bucket/', '').split('/').map(decodeURIComponent);
    if (stored.join('/') !== key || search !== '' || hash !== '') {
      throw new Error(`${JSON.stringify(key)} became ${pathname}${search}${hash}, seed ${SEED}`);
    }
  }
  expect(taken).toBeGreaterThan(RUNS / 100);
});

test('a key that Supabase refuses is refused before anything is sent', async () => {
  const sent: string[] = [];
  const backend = supabaseBackend({
    url: 'http://127.0.0.1:1',
    key: 'k',
    bucket: 'bucket',
    fetch: async (_input, { method } = {}) => {
      sent.push(String(method));
      return new Response('{}');
    },
  });
  const { signal } = new AbortController();
  for (const key of ['ünïcödé', 'a%41', 'a#b', 'x/../y', '../other/secret', 's'.repeat(256), '']) {
    expect(await backend.head(key, { signal })).toMatchObject({ kind: 'invalid' });
    expect(await backend.get(key, { signal })).toMatchObject({ kind: 'invalid' });
    expect(await backend.remove(key, { signal })).toMatchObject({ kind: 'invalid' });
  }
  expect(sent).toEqual([]);
});

test('what Supabase takes as a key is within its own rule', () => {
  expect(refuseKey('plain', supabaseKeys)).toBeUndefined();
  const rule = /^(\w|\/|!|-|\.|\*|'|\(|\)| |&|\$|@|=|;|:|\+|,|\?)*$/;
  assert(
    property(
      string({ unit: 'binary', maxLength: 40 }),
      (key) => refuseKey(key, supabaseKeys) !== undefined || rule.test(key),
    ),
    { seed: SEED, numRuns: 20_000 },
  );
});

test('a refusal says what a key has to be', () => {
  expect(refuseKey(7, anyKeys)).toBe('a string');
  expect(refuseKey('', anyKeys)).toBe('not empty');
  expect(refuseKey('a//b', anyKeys)).toMatch(/empty segments/);
  expect(refuseKey('a/../b', anyKeys)).toMatch(/segments \. and \.\./);
  expect(refuseKey('a/%2E%2e/b', anyKeys)).toMatch(/encoded/);
  expect(refuseKey('x'.repeat(1_025), anyKeys)).toMatch(/1024 bytes/);
  expect(refuseKey('ü', supabaseKeys)).toMatch(/ASCII/);
  expect(refuseKey('ü', anyKeys)).toBeUndefined();
});

test('keys that differ only in case or in the bucket have different files', () => {
  const names = [
    diskName('b', 'K'),
    diskName('b', 'k'),
    diskName('B', 'k'),
    diskName('b', 'k/below'),
    diskName('bk', ''),
  ];
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[\da-f]{64}$/);
});
