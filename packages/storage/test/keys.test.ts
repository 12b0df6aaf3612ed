import { expect, test } from '@jest/globals';
import { assert, property, string } from 'fast-check';
import { seededRandom } from '@holdfast/foundation';
import { diskBackend } from '../src/backends/disk/backend.ts';
import { supabaseBackend } from '../src/backends/supabase/backend.ts';
import { bytesSource } from '../src/object/body.ts';
import { safeFileName } from '../src/files/safe-file-name.ts';
import { anyKeys, keyPath, refuseKey, supabaseKeys } from '../src/object/key.ts';
import { freshDirectory } from './directory.ts';
import { putOptions } from './backends/put-options.ts';
import { openS3, openSupabase } from './backends/servers.ts';

const RUNS = Number(process.env['HOLDFAST_RUNS'] ?? 100_000);
const SEED = 20_261_122;
/** The number of permitted keys that are stored; more with the environment variable. */
const STORED_KEYS = Number(process.env['HOLDFAST_STORED_KEYS'] ?? 150);

/** Fragments that clients, gateways and servers are known to rewrite. */
const pieces = [
  '..', '.', '/', '//', '\\', '%2e', '%2E%2e', '%252e', '%2f', '%5c', '?', '#', '%', '%41', '&', '=',
  '+', ' ', '\t', '\n', '\0', '\u007f', '\u0085', '\u2028', 'é', 'e\u0301', '鍵', '\ud800', '😀', ':',
  '@', '//evil', 'A', 'a', 'bucket', '../other', ';', '|', '<', '~', 'x'.repeat(250),
]; // prettier-ignore

function* fuzzedKeys(count: number): Generator<string> {
  const random = seededRandom(SEED);
  for (let run = 0; run < count; run += 1) {
    const length = 1 + Math.floor(random() * 6);
    let key = '';
    for (let piece = 0; piece < length; piece += 1) {
      key += pieces[Math.floor(random() * pieces.length)] ?? '';
    }
    yield key;
  }
}

test('of 100,000 fuzzed keys none is rewritten and none leaves its bucket', () => {
  let taken = 0;
  for (const key of fuzzedKeys(RUNS)) {
    if (refuseKey(key, anyKeys) !== undefined) continue;
    taken += 1;
    // As a URL parser and a server that decodes once read it.
    const { pathname, search, hash } = new URL(`http://host/object/bucket/${keyPath(key)}`);
    const stored = pathname.replace('/object/bucket/', '').split('/').map(decodeURIComponent);
    if (stored.join('/') !== key || search !== '' || hash !== '') {
      throw new Error(`${JSON.stringify(key)} became ${pathname}${search}${hash}, seed ${SEED}`);
    }
  }
  expect(taken).toBeGreaterThan(RUNS / 100);
});

test('fuzzed keys are stored on every server byte for byte, and nowhere else', async () => {
  const directory = await freshDirectory();
  const [supabase, s3] = await Promise.all([openSupabase(), openS3()]);
  const backends = [supabase.backend, s3.backend, diskBackend({ directory })];
  const { signal } = new AbortController();
  for (const backend of backends) {
    const asked = new Set<string>();
    for (const key of fuzzedKeys(RUNS)) {
      if (asked.size === STORED_KEYS) break;
      const bytes = Buffer.from(key);
      const put = await backend.put(key, bytesSource(bytes), putOptions(bytes));
      if (backend.refuseKey(key) === undefined) asked.add(key);
      expect([key, put.kind]).toEqual([key, asked.has(key) ? 'ok' : 'invalid']);
    }
    const found = new Set<string>();
    let cursor: string | undefined;
    do {
      const page = await backend.list('', { signal, limit: 1_000, ...(cursor && { cursor }) });
      if (page.kind !== 'ok') throw new Error(page.message);
      for (const { key } of page.value.objects) found.add(key);
      ({ cursor } = page.value);
    } while (cursor !== undefined);
    expect(found).toEqual(asked);
    expect(asked.size).toBe(STORED_KEYS);
  }
  expect([supabase.server.getStats().objects, s3.server.getStats().objects]).toEqual([
    STORED_KEYS,
    STORED_KEYS,
  ]);
  await Promise.all([supabase.close(), s3.close()]);
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

test('the keys that we send to Supabase are within its own rule', () => {
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

test('a refusal states what a key must be', () => {
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
    safeFileName('b', 'K'),
    safeFileName('b', 'k'),
    safeFileName('B', 'k'),
    safeFileName('b', 'k/below'),
    safeFileName('bk', ''),
  ];
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[\da-f]{64}$/);
});
