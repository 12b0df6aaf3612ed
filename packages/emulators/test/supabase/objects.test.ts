import { createFakeClock } from '@holdfast/foundation/testing';
import { Readable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { storageError, withSupabase } from './supabase-client.ts';

test.each([
  ['a Buffer', Buffer.from('bytes')],
  ['a string', 'bytes'],
  ['a Blob', new Blob(['bytes'])],
  ['an ArrayBuffer', new TextEncoder().encode('bytes').buffer],
  ['a web stream', (): ReadableStream => new Blob(['bytes']).stream()],
  ['a Node stream', (): Readable => Readable.from([Buffer.from('by'), Buffer.from('tes')])],
] as const)('%s is stored unchanged', async (_, given) => {
  await withSupabase({}, async ({ files }) => {
    const body = typeof given === 'function' ? given() : given;
    const { data, error } = await files.upload('dir/a b.txt', body, { contentType: 'text/x' });
    expect(error).toBeNull();
    expect(data).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      path: 'dir/a b.txt',
      fullPath: 'bucket/dir/a b.txt',
    });
    const got = await files.download('dir/a b.txt');
    expect(await got.data?.text()).toBe('bytes');
  });
});

test('an upload sets the metadata of its object, and every upsert replaces it', async () => {
  await withSupabase({}, async ({ files }) => {
    const first = { contentType: 'text/css', cacheControl: '60', metadata: { op: '1', n: 2 } };
    const made = await files.upload('key', 'one', first);
    const one = (await files.info('key')).data;
    expect(one).toMatchObject({
      name: 'key',
      bucketId: 'bucket',
      size: 3,
      contentType: 'text/css',
      cacheControl: 'max-age=60',
      metadata: { op: '1', n: 2 },
    });
    await files.upload('key', 'three', { upsert: true });
    const two = (await files.info('key')).data;
    expect(two).toMatchObject({ id: made.data?.id, size: 5, metadata: {} });
    expect(two?.version).not.toBe(one?.version);
  });
});

test('an existing key is not replaced without upsert, and update creates a missing one', async () => {
  await withSupabase({}, async ({ files }) => {
    await files.upload('key', 'before');
    const again = await files.upload('key', 'after');
    expect(again.error).toEqual(storageError('KeyAlreadyExists', 409));
    expect(await (await files.download('key')).data?.text()).toBe('before');
    expect((await files.update('new', 'made')).error).toBeNull();
    expect(await (await files.download('new')).data?.text()).toBe('made');
  });
});

test('of twenty concurrent creates of one key exactly one succeeds', async () => {
  await withSupabase({}, async ({ files }) => {
    const creates = Array.from({ length: 20 }, (_, at) => files.upload('lock', String(at)));
    const results = await Promise.all(creates);
    const winners = results.flatMap(({ error }, at) => (error === null ? [at] : []));
    expect(winners).toHaveLength(1);
    expect(await (await files.download('lock')).data?.text()).toBe(String(winners[0]));
  });
});

test('keys with invalid characters or dot segments are rejected', async () => {
  await withSupabase({}, async ({ files, server }) => {
    for (const key of ['ü', 'a[b]', 'a~b', 'a"b']) {
      expect((await files.upload(key, 'x')).error).toEqual(storageError('InvalidKey', 400));
    }
    const headers = { authorization: `Bearer ${server.serviceRoleKey}` };
    // fetch would resolve the dots; encoded, they reach the server.
    const address = `${server.url}/storage/v1/object/bucket/%2e%2e%2fother/x`;
    const response = await fetch(address, { method: 'POST', headers, body: 'x' });
    expect([response.status, await response.json()]).toEqual([
      400,
      expect.objectContaining({ code: 'InvalidKey' }),
    ]);
    const long = await files.upload(`${'x'.repeat(300)}/y`, 'x');
    expect(long.error).toEqual(storageError('InternalError', 500, 500));
  });
});

test('a missing object has its code in the body, whatever the HTTP status', async () => {
  await withSupabase({}, async ({ files, storage }) => {
    expect((await files.info('none')).error).toEqual(storageError('NoSuchKey', 404));
    expect(await files.exists('none')).toMatchObject({ data: false });
    expect((await storage.from('nowhere').upload('key', 'x')).error).toEqual(
      storageError('NoSuchBucket', 404),
    );
    expect((await files.download('none')).error).toMatchObject({ status: 400 });
    expect((await files.move('none', 'x')).error).toEqual(storageError('NoSuchKey', 404));
    expect((await files.copy('none', 'x')).error).toEqual(storageError('NoSuchKey', 404));
    expect((await files.remove(['none'])).data).toEqual([]);
  });
});

test('the limits of the bucket and of the server apply to size and type', async () => {
  await withSupabase({ maxStandardUploadBytes: 8 }, async ({ files, storage }) => {
    const terms = { public: false, fileSizeLimit: '5B', allowedMimeTypes: ['image/*', 'text/css'] };
    await storage.createBucket('small', terms);
    const small = storage.from('small');
    const css = { contentType: 'text/css' };
    expect((await small.upload('a', '12345', css)).error).toBeNull();
    expect((await small.upload('b', '123456', css)).error).toEqual(
      storageError('EntityTooLarge', 413),
    );
    const blob = new Blob(['123456'], { type: 'image/png' });
    expect((await small.upload('c', blob)).error).toEqual(storageError('EntityTooLarge', 413));
    expect((await small.upload('d', '1', { contentType: 'text/html' })).error).toEqual(
      storageError('InvalidMimeType', 415),
    );
    expect((await small.upload('e', '1', { contentType: 'image/png' })).error).toBeNull();
    // The length of a stream is not known in advance.
    const stream = Readable.from([Buffer.from('12345'), Buffer.from('6789')]);
    expect((await files.upload('f', stream)).error).toEqual(storageError('EntityTooLarge', 413));
    expect((await files.exists('f')).data).toBe(false);
  });
});

test('copies and moves keep bytes and metadata, and never replace an object', async () => {
  await withSupabase({}, async ({ files, storage }) => {
    await storage.createBucket('other');
    await files.upload('a', 'bytes', { metadata: { op: '1' }, contentType: 'text/x' });
    await files.upload('taken', 'there');
    const copied = await files.copy('a', 'dir/b', { destinationBucket: 'other' });
    expect(copied.data).toEqual({ path: 'other/dir/b' });
    expect((await storage.from('other').info('dir/b')).data).toMatchObject({
      metadata: { op: '1' },
      contentType: 'text/x',
    });
    expect((await files.copy('a', 'taken')).error).toEqual(storageError('KeyAlreadyExists', 409));
    expect((await files.move('a', 'taken')).error).toEqual(
      storageError('ResourceAlreadyExists', 409),
    );
    const id = (await files.info('a')).data?.id;
    expect((await files.move('a', 'c')).data).toEqual({ message: 'Successfully moved' });
    expect((await files.info('c')).data?.id).toBe(id);
    expect((await files.exists('a')).data).toBe(false);
    expect(await (await files.download('c')).data?.text()).toBe('bytes');
  });
});

test('a folder lists its folders and objects together by name, page by page', async () => {
  await withSupabase({}, async ({ files }) => {
    for (const key of ['b', 'a', 'dir/x', 'dir/sub/y', 'dir/w']) await files.upload(key, key);
    const names = async (path: string, options = {}): Promise<unknown> =>
      (await files.list(path, options)).data?.map(({ name, id }) =>
        id === null ? `${name}/` : name,
      );
    expect(await names('')).toEqual(['a', 'b', 'dir/']);
    expect(await names('dir')).toEqual(['sub/', 'w', 'x']);
    expect(await names('dir/', { limit: 1, offset: 1 })).toEqual(['w']);
    expect(await names('', { sortBy: { column: 'name', order: 'desc' } })).toEqual([
      'dir/',
      'b',
      'a',
    ]);
    const byDate = { sortBy: { column: 'created_at' }, limit: 1 };
    expect(await names('', byDate)).toEqual(['dir/']);
    expect(await names('dir', { search: 'S' })).toEqual(['sub/']);
    expect(await names('nowhere')).toEqual([]);
    const [object] = (await files.list('dir', { search: 'x' })).data ?? [];
    expect(object?.metadata).toMatchObject({ size: 5, eTag: expect.stringMatching(/^"\w+"$/) });
  });
});

test('listV2 continues at its cursor', async () => {
  await withSupabase({}, async ({ files }) => {
    for (const key of ['a', 'dir/x', 'z']) await files.upload(key, key);
    const first = (await files.listV2({ limit: 2, with_delimiter: true })).data;
    expect(first).toMatchObject({ hasNext: true, folders: [{ name: 'dir/' }] });
    const cursor = first?.nextCursor ?? '';
    const rest = (await files.listV2({ cursor, with_delimiter: true })).data;
    expect(rest).toMatchObject({ hasNext: false, objects: [{ name: 'z' }] });
  });
});

test.each(['exclusive', 'racing'] as const)('concurrent creates are %s', async (creates) => {
  const clock = createFakeClock();
  await withSupabase({ clock }, async ({ files, server }) => {
    server.setFaults({ creates });
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, at) => files.upload('k', `${at}`)),
    );
    expect(results.filter(({ error }) => error === null)).toHaveLength(
      creates === 'racing' ? 10 : 1,
    );
    await clock.advance(1_000);
    expect((await files.upload('k', 'x')).error).toEqual(storageError('KeyAlreadyExists', 409));
  });
});

test('a copy has the metadata that replace those of its source', async () => {
  await withSupabase({}, async ({ files }) => {
    await files.upload('a', 'x', { contentType: 'text/x', cacheControl: '9', metadata: { a: 1 } });
    const metadata = { cacheControl: 'max-age=5', mimetype: 'text/new' };
    await files.copy('a', 'b', { copyMetadata: false, metadata });
    expect((await files.info('b')).data).toMatchObject({
      contentType: 'text/new',
      cacheControl: 'max-age=5',
      metadata: null,
    });
  });
});

test('removing returns the removed objects', async () => {
  await withSupabase({}, async ({ files, server }) => {
    for (const key of ['a', 'b']) await files.upload(key, key);
    const { data } = await files.remove(['a', 'none', 'b']);
    expect(data?.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(server.getStats().objects).toBe(0);
  });
});

test('a download returns the requested range', async () => {
  await withSupabase({}, async ({ files, server }) => {
    await files.upload('key', '0123456789');
    const address = `${server.url}/storage/v1/object/authenticated/bucket/key`;
    const authorization = `Bearer ${server.serviceRoleKey}`;
    const part = await fetch(address, { headers: { authorization, range: 'bytes=2-4' } });
    expect([part.status, await part.text(), part.headers.get('content-range')]).toEqual([
      206,
      '234',
      'bytes 2-4/10',
    ]);
    const etag = part.headers.get('etag') ?? '';
    const same = await fetch(address, { headers: { authorization, 'if-none-match': etag } });
    expect(same.status).toBe(304);
    const head = await fetch(address, { method: 'HEAD', headers: { authorization } });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '10']);
  });
});

test('buckets are created, listed, updated, emptied and removed', async () => {
  await withSupabase({}, async ({ storage, files }) => {
    expect((await storage.createBucket('bucket')).error).toEqual(
      storageError('BucketAlreadyExists', 409),
    );
    expect((await storage.createBucket('a/b')).error).not.toBeNull();
    expect((await storage.listBuckets()).data).toMatchObject([{ id: 'bucket', public: false }]);
    await storage.updateBucket('bucket', { public: true, fileSizeLimit: 10 });
    expect((await storage.getBucket('bucket')).data).toMatchObject({
      public: true,
      file_size_limit: 10,
    });
    await files.upload('key', 'x');
    expect((await storage.deleteBucket('bucket')).error).toEqual(
      storageError('ResourceNotEmpty', 409),
    );
    expect((await storage.emptyBucket('bucket')).error).toBeNull();
    expect((await storage.deleteBucket('bucket')).error).toBeNull();
    expect((await storage.getBucket('bucket')).error).toEqual(storageError('NoSuchBucket', 404));
    const unit = await storage.createBucket('unit', { public: false, fileSizeLimit: '5 miles' });
    expect(unit.error).toEqual(storageError('InvalidRequest', 400));
  });
});
