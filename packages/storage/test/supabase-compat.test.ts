import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from '@supabase/supabase-js';
import { expect, test } from '@jest/globals';
import { createStorage } from '../src/create-storage.ts';
import { storageClient } from '../src/supabase-compat/client.ts';
import { freshDirectory } from './directory.ts';
import { AWAY, openTestStorage, textAt } from './open-storage.ts';
import { BUCKET, openSupabase } from './backends/servers.ts';

async function openBucket() {
  const opened = await openTestStorage();
  return { ...opened, bucket: storageClient({ avatars: opened.storage }).from('avatars') };
}

test('code written for supabase.storage.from(bucket) gets the results of supabase-js', async () => {
  const { storage, bucket } = await openBucket();
  const uploaded = await bucket.upload('a/1.txt', 'hello', {
    contentType: 'text/plain',
    cacheControl: '60',
    upsert: true,
    metadata: { color: 'blue' },
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
  expect(await bucket.info('a/1.txt')).toMatchObject({
    data: {
      name: 'a/1.txt',
      bucketId: 'avatars',
      size: 5,
      contentType: 'text/plain',
      metadata: { color: 'blue' },
      lastModified: expect.stringMatching(/^\d{4}-/),
    },
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
  expect(await bucket.upload('x', 'x', { cacheControl: 'no-cache' })).toMatchObject({
    error: { code: 'INVALID_OPTION', status: 400 },
  });
  await storage.close();
});

test('without upsert an existing object is not replaced; while no backend responds the write is accepted', async () => {
  const { storage, bucket, clock, primary, mirror } = await openBucket();
  expect(await bucket.upload('k', 'first')).toMatchObject({ error: null });
  expect(await bucket.upload('k', 'second')).toMatchObject({
    data: null,
    error: { code: 'STORAGE_EXISTS', statusCode: '409' },
  });
  expect(textAt(primary, 'k')).toBe('first');
  primary.intercept = () => ({ before: AWAY });
  mirror.intercept = () => ({ before: AWAY });
  const accepted = await clock.settle(bucket.upload('new', 'accepted'));
  expect(accepted).toMatchObject({ data: { path: 'new' }, error: null });
  expect(await bucket.upload('new', 'again')).toMatchObject({ error: { statusCode: '409' } });
  await storage.close({ deadlineMs: 0 });
});

test('copy and move keep type and metadata, also into another bucket of the client', async () => {
  const avatars = await openTestStorage();
  const archive = await openTestStorage({ journal: { directory: '/archive' } });
  const client = storageClient({ avatars: avatars.storage, archive: archive.storage });
  const bucket = client.from('avatars');
  const metadata = { color: 'blue' };
  await bucket.upload('a', 'bytes', { contentType: 'text/plain', metadata });
  expect(await bucket.copy('a', 'b/c')).toEqual({ data: { path: 'avatars/b/c' }, error: null });
  expect(await avatars.storage.info('b/c')).toMatchObject({ contentType: 'text/plain', metadata });
  expect(await bucket.copy('a', 'b/c')).toMatchObject({ error: { code: 'STORAGE_EXISTS' } });
  const moved = await bucket.move('a', 'a', { destinationBucket: 'archive' });
  expect(moved).toEqual({ data: { message: 'Successfully moved' }, error: null });
  expect([textAt(avatars.primary, 'a'), textAt(archive.primary, 'a')]).toEqual([
    undefined,
    'bytes',
  ]);
  expect(await bucket.move('a', 'd')).toMatchObject({ error: { code: 'STORAGE_NOT_FOUND' } });
  const elsewhere = bucket.copy('b/c', 'x', { destinationBucket: 'none' });
  expect(await elsewhere).toMatchObject({ error: { code: 'INVALID_OPTION' } });
  await Promise.all([avatars.storage.close(), archive.storage.close()]);
});

test('a list has folders first, then files, and supports limit, offset and search', async () => {
  const { storage, bucket } = await openBucket();
  for (const key of ['top', 'Abc', 'dir/x', 'dir/deep/y', 'zoo/z']) await storage.upload(key, 'x');
  const names = async (path: string, options = {}): Promise<string[] | undefined> =>
    (await bucket.list(path, options)).data?.map(({ name, id }) =>
      id === null ? `${name}/` : name,
    );
  expect(await names('')).toEqual(['dir/', 'zoo/', 'Abc', 'top']);
  expect(await names('dir')).toEqual(['deep/', 'x']);
  expect(await names('', { limit: 2, offset: 1 })).toEqual(['zoo/', 'Abc']);
  expect(await names('', { search: 'a' })).toEqual(['Abc']);
  expect((await bucket.list('dir')).data?.[1]).toMatchObject({
    id: 'dir/x',
    metadata: { size: 1 },
  });
  expect(await bucket.list('', { sortBy: { column: 'created_at' } })).toMatchObject({
    error: { code: 'STORAGE_NOT_SUPPORTED', status: 501 },
  });
  await storage.close();
});

test('supabase-js makes the URLs if it is given; otherwise the call is not supported', async () => {
  const { server, backend, close } = await openSupabase();
  const supabase = createClient(server.url, server.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const directory = await freshDirectory();
  const storage = createStorage({ backends: [backend], journal: { directory } });
  const bucket = storageClient({ [BUCKET]: storage }, { urls: supabase.storage }).from(BUCKET);
  await bucket.upload('k', 'bytes');
  const signed = await bucket.createSignedUrl('k', 60);
  expect(await (await fetch(signed.data?.signedUrl ?? '')).text()).toBe('bytes');
  expect(bucket.getPublicUrl('k').data.publicUrl).toContain(`/object/public/${BUCKET}/k`);
  expect(await bucket.createSignedUrls(['k'], 60)).toMatchObject({ data: [{ path: 'k' }] });

  const bare = storageClient({ [BUCKET]: storage }).from(BUCKET);
  expect(() => bare.getPublicUrl('k')).toThrow(
    expect.objectContaining({ code: 'STORAGE_NOT_SUPPORTED' }),
  );
  const refused = { data: null, error: { code: 'STORAGE_NOT_SUPPORTED', status: 501 } };
  expect(await bare.createSignedUrl('k', 60)).toMatchObject(refused);
  expect(await bare.createSignedUrls(['k'], 60)).toMatchObject(refused);
  expect(await bucket.createSignedUploadUrl('k')).toMatchObject(refused);
  expect(await bucket.uploadToSignedUrl('k')).toMatchObject(refused);
  await storage.close();
  await close();
});

test('the error for an unknown bucket contains its name', () => {
  expect(() => storageClient({}).from('avatars')).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('avatars'),
    }),
  );
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
