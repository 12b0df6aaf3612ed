import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { storageClient } from '../src/facade.ts';
import { openTestStorage } from './open-storage.ts';

test('code written for supabase.storage.from(bucket) gets what it expects', async () => {
  const { storage } = await openTestStorage();
  const bucket = storageClient({ avatars: storage }).from('avatars');
  const uploaded = await bucket.upload('a/1.txt', 'hello', {
    contentType: 'text/plain',
    cacheControl: '60',
    upsert: true,
  });
  expect(uploaded).toEqual({
    data: {
      path: 'a/1.txt',
      fullPath: 'avatars/a/1.txt',
      id: expect.any(String),
      stored: 'primary',
    },
    error: null,
  });
  const { data } = await bucket.download('a/1.txt');
  expect([await data?.text(), data?.type]).toEqual(['hello', 'text/plain']);
  expect(await bucket.exists('a/1.txt')).toEqual({ data: true, error: null });
  expect(await bucket.list('a')).toEqual({
    data: [{ name: '1.txt', metadata: { size: 5 } }],
    error: null,
  });
  expect(await bucket.update('a/1.txt', 'again')).toMatchObject({ error: null });
  expect(await bucket.remove(['a/1.txt'])).toEqual({ data: [{ name: 'a/1.txt' }], error: null });
  expect(await bucket.download('a/1.txt')).toMatchObject({
    data: null,
    error: { code: 'STORAGE_NOT_FOUND', status: 404, statusCode: '404' },
  });
  expect(await bucket.upload('../other/x', 'x')).toMatchObject({
    data: null,
    error: { code: 'STORAGE_INVALID_KEY', status: 400 },
  });
  await storage.close();
});

test('a bucket that was not given is told by name', () => {
  expect(() => storageClient({}).from('avatars')).toThrow('avatars');
});

test('neither the package nor a backend loads a client library before its first call', async () => {
  const script = `
    import { createRequire } from 'node:module';
    const { supabaseBackend } = await import(${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))});
    supabaseBackend({ url: 'http://127.0.0.1:1', key: 'k', bucket: 'b' });
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    process.stdout.write(JSON.stringify(loaded.filter((path) => /@aws-sdk|@supabase/.test(path))));
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', script],
    { cwd: import.meta.dirname },
  );
  expect(stdout).toBe('[]');
});
