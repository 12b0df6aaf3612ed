import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from '@supabase/supabase-js';
import { expect, test } from '@jest/globals';
import { createStorage } from '../../src/create-storage.ts';
import type { Storage } from '../../src/storage.ts';
import { storageClient } from '../../src/supabase-compat/client.ts';
import { freshDirectory } from '../directory.ts';
import { AWAY, openTestStorage, textAt } from '../open-storage.ts';
import { BUCKET, openSupabase } from '../backends/servers.ts';

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
  expect(await bucket.remove(['a/1.txt', 'none'])).toMatchObject({
    data: [{ name: 'a/1.txt', bucket_id: 'avatars', id: expect.any(String) }],
    error: null,
  });
  expect(await bucket.download('a/1.txt')).toMatchObject({
    data: null,
    error: {
      code: 'NoSuchKey',
      status: 404,
      statusCode: '404',
      message: 'Object not found',
      cause: { code: 'STORAGE_NOT_FOUND' },
    },
  });
  expect(await bucket.upload('../other/x', 'x')).toMatchObject({
    data: null,
    error: { code: 'InvalidKey', status: 400 },
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
    error: { code: 'KeyAlreadyExists', statusCode: '409' },
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
  expect(await bucket.copy('a', 'b/c')).toMatchObject({ error: { code: 'KeyAlreadyExists' } });
  const moved = await bucket.move('a', 'a', { destinationBucket: 'archive' });
  expect(moved).toEqual({ data: { message: 'Successfully moved' }, error: null });
  expect([textAt(avatars.primary, 'a'), textAt(archive.primary, 'a')]).toEqual([
    undefined,
    'bytes',
  ]);
  expect(await bucket.move('a', 'd')).toMatchObject({ error: { code: 'NoSuchKey' } });
  const elsewhere = bucket.copy('b/c', 'x', { destinationBucket: 'none' });
  expect(await elsewhere).toMatchObject({ error: { code: 'INVALID_OPTION' } });
  await Promise.all([avatars.storage.close(), archive.storage.close()]);
});

test('a move onto itself changes nothing', async () => {
  const { storage, bucket, primary } = await openBucket();
  expect(await bucket.move('a', 'a')).toMatchObject({ error: { code: 'NoSuchKey' } });
  await bucket.upload('a', 'bytes', { contentType: 'text/plain' });
  for (const options of [{}, { upsert: true }, { destinationBucket: 'avatars' }]) {
    expect(await bucket.move('a', 'a', options)).toMatchObject({ error: null });
    expect(textAt(primary, 'a')).toBe('bytes');
  }
  expect(await bucket.copy('a', 'a', { upsert: true })).toMatchObject({ error: null });
  expect(await storage.info('a')).toMatchObject({ size: 5, contentType: 'text/plain' });
  await storage.close();
});

test.each([
  ['an upload', (storage: Storage) => storage.upload('a', 'newer'), 'newer'],
  ['a removal', (storage: Storage) => storage.remove('a'), undefined],
])('%s that is acknowledged while its key is moved is kept', async (_, write, left) => {
  const avatars = await openTestStorage();
  const archive = await openTestStorage({ journal: { directory: '/archive' } });
  await avatars.storage.upload('a', 'older');
  // The write comes between the reading of the object and its removal.
  const target: Storage = {
    ...archive.storage,
    upload: async (...call) => {
      await write(avatars.storage);
      return archive.storage.upload(...call);
    },
    download: (...call) => archive.storage.download(...call),
    remove: (...call) => archive.storage.remove(...call),
    move: (...call) => archive.storage.move(...call),
  };
  await avatars.storage.move('a', 'b', { target });
  expect(textAt(archive.primary, 'b')).toBe('older');
  for (const backend of [avatars.primary, avatars.mirror]) {
    expect(textAt(backend, 'a')).toBe(left);
  }
  expect(await avatars.storage.exists('a')).toBe(left !== undefined);
  await Promise.all([avatars.storage.close(), archive.storage.close()]);
});

test('an aborted move leaves the object where it was', async () => {
  const { storage, primary } = await openTestStorage();
  await storage.upload('a', 'bytes');
  const controller = new AbortController();
  controller.abort(new Error('enough'));
  await expect(storage.move('a', 'b', { signal: controller.signal })).rejects.toThrow('enough');
  expect([textAt(primary, 'a'), textAt(primary, 'b')]).toEqual(['bytes', undefined]);
  await storage.close();
});

test('a list merges folders and files by name, and supports limit, offset, search and sorting', async () => {
  const { storage, bucket, clock } = await openBucket();
  for (const key of ['top', 'Abc', 'dir/x', 'dir/deep/y', 'zoo/z', 'bee']) {
    await storage.upload(key, 'x');
    await clock.advance(1_000);
  }
  const names = async (path: string, options = {}): Promise<string[] | undefined> =>
    (await bucket.list(path, options)).data?.map(({ name, id }) =>
      id === null ? `${name}/` : name,
    );
  expect(await names('')).toEqual(['Abc', 'bee', 'dir/', 'top', 'zoo/']);
  for (const path of ['dir', 'dir/', '/dir', '//dir//']) {
    expect(await names(path)).toEqual(['deep/', 'x']);
  }
  expect(await names('', { limit: 2, offset: 1 })).toEqual(['bee', 'dir/']);
  expect(await names('', { search: 'a' })).toEqual(['Abc']);
  expect(await names('', { sortBy: { order: 'desc' } })).toEqual([
    'zoo/',
    'top',
    'dir/',
    'bee',
    'Abc',
  ]);
  const byDate = (order: string) => ({ sortBy: { column: 'created_at', order } });
  expect(await names('', byDate('asc'))).toEqual(['dir/', 'zoo/', 'top', 'Abc', 'bee']);
  expect(await names('', byDate('desc'))).toEqual(['zoo/', 'dir/', 'bee', 'Abc', 'top']);
  expect((await bucket.list('dir')).data?.[1]).toMatchObject({
    id: 'dir/x',
    created_at: expect.stringMatching(/^\d{4}-/),
    metadata: {
      size: 1,
      eTag: expect.stringMatching(/^"/),
      mimetype: 'application/octet-stream',
      cacheControl: 'max-age=3600',
    },
  });
  for (const options of [
    { sortBy: { column: 'size' } },
    { sortBy: { order: 'up' } },
    { limit: 0 },
    { limit: 1.5 },
    { offset: -1 },
  ]) {
    expect(await bucket.list('', options)).toMatchObject({ error: { code: 'INVALID_OPTION' } });
  }
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
  const grant = await bucket.createSignedUploadUrl('other');
  const granted = await bucket.uploadToSignedUrl('other', grant.data?.token ?? '', 'directly');
  expect(granted).toMatchObject({ data: { path: 'other' }, error: null });
  expect(await (await bucket.download('other')).data?.text()).toBe('directly');
  const missing = bucket.createSignedUrl('none', 60);
  expect(await missing).toMatchObject({ data: null, error: { code: 'NoSuchKey' } });
  const throwing = storageClient({ [BUCKET]: storage }, { urls: supabase.storage }).from(BUCKET);
  await expect(throwing.throwOnError().createSignedUrl('none', 60)).rejects.toMatchObject({
    code: 'NoSuchKey',
  });

  const bare = storageClient({ [BUCKET]: storage }).from(BUCKET);
  expect(() => bare.getPublicUrl('k')).toThrow(
    expect.objectContaining({ code: 'STORAGE_NOT_SUPPORTED' }),
  );
  const refused = { data: null, error: { code: 'STORAGE_NOT_SUPPORTED', status: 501 } };
  expect(await bare.createSignedUrl('k', 60)).toMatchObject(refused);
  expect(await bare.createSignedUrls(['k'], 60)).toMatchObject(refused);
  expect(await bare.createSignedUploadUrl('k')).toMatchObject(refused);
  expect(await bare.uploadToSignedUrl('k', 'token', 'x')).toMatchObject(refused);
  expect(await bare.purgeCache('k')).toMatchObject(refused);
  await expect(bare.throwOnError().createSignedUrl('k', 60)).rejects.toMatchObject(refused.error);
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
    const { supabaseBackend } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/index.ts'))});
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
