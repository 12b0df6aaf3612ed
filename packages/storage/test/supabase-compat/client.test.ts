import { Readable } from 'node:stream';
import { StorageApiError, createClient } from '@supabase/supabase-js';
import { expect, test } from '@jest/globals';
import type { MemoryBackend } from '../../src/backends/memory.ts';
import type { BucketBody } from '../../src/supabase-compat/bodies.ts';
import type { StorageBucket } from '../../src/supabase-compat/bucket.ts';
import { storageClient } from '../../src/supabase-compat/client.ts';
import { AWAY, openTestStorage } from '../open-storage.ts';

async function openBucket() {
  const opened = await openTestStorage();
  return { ...opened, bucket: storageClient({ avatars: opened.storage }).from('avatars') };
}

/** The keys of the caller's objects, without the storage's own mark. */
function keysAt({ objects }: MemoryBackend): string[] {
  return [...objects.keys()].filter((key) => !key.startsWith('.holdfast/'));
}

function formWith(file: Blob, fields: Readonly<Record<string, string>> = {}): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('', file, 'name.bin');
  return form;
}

const TEXT = 'text/plain;charset=UTF-8';
const BYTES = 'application/octet-stream';
const bytes = Buffer.from('bytes');

test.each<[string, () => BucketBody, string]>([
  ['a string', () => 'bytes', TEXT],
  ['a Buffer', () => bytes, TEXT],
  ['an ArrayBuffer', () => Uint8Array.from(bytes).buffer, TEXT],
  ['a view', () => new DataView(Uint8Array.from(bytes).buffer), TEXT],
  ['a Blob with a type', () => new Blob([bytes], { type: 'image/png' }), 'image/png'],
  ['a Blob without a type', () => new Blob([bytes]), BYTES],
  ['a File', () => new File([bytes], 'a.gif', { type: 'image/gif' }), 'image/gif'],
  ['a form', () => formWith(new Blob([bytes], { type: 'image/png' })), 'image/png'],
  ['a typed form', () => formWith(new Blob([bytes]), { contentType: 'text/q' }), 'text/q'],
  ['a Node stream', () => Readable.from([bytes.subarray(0, 2), bytes.subarray(2)]), TEXT],
  ['a web stream', () => new Blob([bytes]).stream(), TEXT],
  ['an async iterable', () => Readable.from([bytes]).iterator(), TEXT],
  ['a function', () => () => Readable.from([bytes]), TEXT],
])('%s is stored with the type that supabase-js gives it', async (_, body, contentType) => {
  const { storage, bucket } = await openBucket();
  for (const call of ['upload', 'update'] as const) {
    expect(await bucket[call](call, body())).toMatchObject({ error: null });
    const { data } = await bucket.download(call);
    expect([await data?.text(), data?.type]).toEqual(['bytes', contentType.toLowerCase()]);
    expect((await bucket.info(call)).data?.contentType).toBe(contentType);
    await bucket.update(call, body(), { contentType: 'text/own' });
    expect((await bucket.info(call)).data?.contentType).toBe('text/own');
  }
  await storage.close();
});

test('search parameters are stored as text, and the fields of a form are its options', async () => {
  const { storage, bucket } = await openBucket();
  await bucket.upload('q', new URLSearchParams({ a: 'b c' }));
  expect(await (await bucket.download('q')).data?.text()).toBe('a=b+c');
  const fields = { cacheControl: '7', metadata: '{"color":"blue"}' };
  await bucket.upload('f', formWith(new Blob(['x']), fields));
  expect(await bucket.info('f')).toMatchObject({
    data: { cacheControl: 'max-age=7', metadata: { color: 'blue' } },
  });
  const twice = formWith(new Blob(['x']));
  twice.append('second', new Blob(['y']));
  for (const form of [
    new FormData(),
    twice,
    formWith(new Blob(['x']), { contentEncoding: 'gzip' }),
    formWith(new Blob(['x']), { metadata: '{"n":1}' }),
    formWith(new Blob(['x']), { metadata: 'no JSON' }),
  ]) {
    expect(await bucket.upload('g', form)).toMatchObject({
      error: { code: 'STORAGE_INVALID_BODY', status: 400 },
    });
  }
  expect(await bucket.exists('g')).toMatchObject({ data: false });
  await storage.close();
});

test('a stream that fails, or was read before, is an error and stores nothing', async () => {
  const { storage, bucket } = await openBucket();
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield bytes;
    throw new Error('the disk is gone');
  }
  const read = new Blob(['x']).stream();
  await read.getReader().read();
  for (const stream of [broken(), Readable.from(broken()), read]) {
    expect(await bucket.upload('k', stream)).toMatchObject({
      data: null,
      error: { code: 'STORAGE_INVALID_BODY' },
    });
  }
  expect(await bucket.exists('k')).toMatchObject({ data: false });
  await storage.close();
});

test.each([
  ['/a/b', 'a/b'],
  ['//a//b', 'a/b'],
  ['a/b/', 'a/b'],
  ['a///b//', 'a/b'],
])('the path %s is the key %s in every call', async (path, key) => {
  const { storage, bucket, primary } = await openBucket();
  expect(await bucket.upload(path, 'x')).toMatchObject({
    data: { path: key, fullPath: `avatars/${key}` },
  });
  expect(keysAt(primary)).toEqual([key]);
  expect(await (await bucket.download(path)).data?.text()).toBe('x');
  expect(await bucket.info(path)).toMatchObject({ data: { name: key } });
  expect(await bucket.exists(path)).toEqual({ data: true, error: null });
  expect(await bucket.update(path, 'y')).toMatchObject({ data: { path: key } });
  expect(await bucket.copy(path, `/c/${path}`)).toMatchObject({
    data: { path: `avatars/c/${key}` },
  });
  expect(await bucket.move(`c/${path}`, `/d//e`)).toMatchObject({ error: null });
  expect(await bucket.remove([path])).toMatchObject({ data: [{ name: key }] });
  expect(keysAt(primary)).toEqual(['d/e']);
  for (const empty of ['', '/', '//']) {
    expect(await bucket.upload(empty, 'x')).toMatchObject({ error: { code: 'InvalidKey' } });
  }
  await storage.close();
});

test('a download is read when it is awaited, as a Blob or as a stream, and only once', async () => {
  const { storage, bucket } = await openBucket();
  await bucket.upload('k', 'bytes', { contentType: 'image/png' });
  const download = bucket.download('k');
  expect(storage.getStats().downloads).toEqual({});
  const [first, second] = [await download, await download];
  expect(first).toBe(second);
  expect(storage.getStats().downloads).toEqual({ primary: 1 });
  const { data: stream } = await bucket.download('k').asStream();
  expect(stream).toBeInstanceOf(ReadableStream);
  expect(await new Response(stream).text()).toBe('bytes');
  expect(await bucket.download('none').asStream()).toMatchObject({
    data: null,
    error: { code: 'NoSuchKey' },
  });
  let ends = 0;
  await bucket.download('k').finally(() => void (ends += 1));
  expect(ends).toBe(1);
  await storage.close();
});

test.each([undefined, new Error('I changed my mind'), 'a word'])(
  'an aborted call is an error that says so (%p)',
  async (reason) => {
    const { storage, bucket } = await openBucket();
    await bucket.upload('k', 'bytes');
    const controller = new AbortController();
    controller.abort(reason);
    const { signal } = controller;
    const aborted = {
      data: null,
      error: { message: expect.stringMatching(/abort/i), cause: signal.reason },
    };
    expect(await bucket.download('k', {}, { signal })).toMatchObject(aborted);
    expect(await bucket.download('k', {}, { signal }).asStream()).toMatchObject(aborted);
    expect(await bucket.list('', {}, { signal })).toMatchObject(aborted);
    expect(await bucket.listV2({}, { signal })).toMatchObject(aborted);
    await storage.close();
  },
);

test('after throwOnError every call throws what it would have returned', async () => {
  const { storage, bucket } = await openBucket();
  await bucket.upload('k', 'x');
  const calls: readonly ((from: StorageBucket) => PromiseLike<{ error: unknown }>)[] = [
    (from) => from.upload('k', 'again'),
    (from) => from.update('', 'x'),
    (from) => from.download('none'),
    (from) => from.download('none').asStream(),
    (from) => from.info('none'),
    (from) => from.exists('none'),
    (from) => from.copy('none', 'x'),
    (from) => from.move('none', 'x'),
    (from) => from.remove([]),
    (from) => from.list('', { limit: 0 }),
    (from) => from.listV2({ limit: 0 }),
    (from) => from.createSignedUrl('k', 60),
    (from) => from.createSignedUploadUrl('k'),
    (from) => from.purgeCache('k'),
  ];
  const throwing = storageClient({ avatars: storage }).from('avatars');
  expect(throwing.throwOnError()).toBe(throwing);
  for (const call of calls) {
    const { error } = await call(bucket);
    expect(error).toBeInstanceOf(StorageApiError);
    expect(error).toMatchObject({ __isStorageError: true, name: 'StorageApiError' });
    await expect(call(throwing)).rejects.toEqual(error);
  }
  await storage.close();
});

test('exists throws when no source responds, because that is neither true nor false', async () => {
  const { storage, bucket, clock, primary, mirror } = await openBucket();
  expect(await bucket.exists('k')).toMatchObject({ data: false, error: { code: 'NoSuchKey' } });
  primary.intercept = () => ({ before: AWAY });
  mirror.intercept = () => ({ before: AWAY });
  await expect(clock.settle(bucket.exists('k'))).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
    status: 503,
  });
  await storage.close({ deadlineMs: 0 });
});

test('a transformed image is made by the server, past the storage, or refused', async () => {
  const { storage, bucket } = await openBucket();
  await bucket.upload('k', 'x');
  const transform = { width: 10 };
  const refused = { data: null, error: { code: 'STORAGE_NOT_SUPPORTED' } };
  expect(await bucket.download('k', { transform })).toMatchObject(refused);
  expect(await bucket.download('k', { transform }).asStream()).toMatchObject(refused);
  expect(await (await bucket.download('k', { transform: {} })).data?.text()).toBe('x');
  const asked: string[] = [];
  const supabase = createClient('http://localhost', 'key', {
    auth: { persistSession: false, autoRefreshToken: false },
    global: {
      fetch: async (input) => {
        asked.push(input instanceof Request ? input.url : input.toString());
        return asked.length > 2
          ? Response.json({ message: 'no', statusCode: '404', error: 'x' }, { status: 400 })
          : new Response('small', { headers: { 'content-type': 'image/webp' } });
      },
    },
  });
  const client = storageClient({ avatars: storage }, { urls: supabase.storage });
  const both = client.from('avatars');
  expect((await both.download('k', { transform })).data?.type).toBe('image/webp');
  const { data } = await both.download('k', { transform }).asStream();
  expect(await new Response(data).text()).toBe('small');
  expect(asked[0]).toContain('/render/image/authenticated/avatars/k?width=10');
  expect(await both.download('k', { transform })).toMatchObject({
    data: null,
    error: { message: 'no' },
  });
  await expect(both.throwOnError().download('k', { transform })).rejects.toThrow('no');
  await storage.close();
});
