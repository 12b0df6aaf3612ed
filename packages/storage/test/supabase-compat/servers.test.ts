import { StorageApiError, createClient } from '@supabase/supabase-js';
import { expect, test } from '@jest/globals';
import type { StorageBackend } from '../../src/backend.ts';
import { diskBackend } from '../../src/backends/disk/backend.ts';
import { s3Backend } from '../../src/backends/s3/backend.ts';
import { supabaseBackend } from '../../src/backends/supabase/backend.ts';
import { createStorage } from '../../src/create-storage.ts';
import type { Storage } from '../../src/storage.ts';
import type { StorageBucket } from '../../src/supabase-compat/bucket.ts';
import { storageClient } from '../../src/supabase-compat/client.ts';
import { freshDirectory } from '../directory.ts';
import { openTestStorage } from '../open-storage.ts';
import { BUCKET, type OpenedServer, openS3, openSupabase, s3Client } from '../backends/servers.ts';

interface Opened {
  readonly storage: Storage;
  readonly bucket: StorageBucket;
  readonly close: () => Promise<void>;
}

async function openOn(
  opened: Pick<OpenedServer<unknown>, 'backend' | 'close'>,
  backend: StorageBackend = opened.backend,
): Promise<Opened> {
  const directory = await freshDirectory();
  const storage = createStorage({ backends: [backend], journal: { directory } });
  return {
    storage,
    bucket: storageClient({ [BUCKET]: storage }).from(BUCKET),
    async close() {
      await storage.close({ deadlineMs: 0 });
      await opened.close();
    },
  };
}

async function openDisk(): Promise<Pick<OpenedServer<undefined>, 'backend' | 'close'>> {
  return { backend: diskBackend({ directory: await freshDirectory() }), close: async () => {} };
}

const servers = [
  ['Supabase', () => openSupabase()],
  ['S3', () => openS3()],
  ['disk', () => openDisk()],
] as const;

test.each(servers)(
  'copies and moves on %s keep type, cache control and metadata',
  async (_, open) => {
    const { bucket, storage, close } = await openOn(await open());
    const metadata = { color: 'blue' };
    await bucket.upload('a', 'x', { contentType: 'text/x', cacheControl: '77', metadata });
    const kept = { contentType: 'text/x', cacheControl: 'max-age=77', metadata };
    await bucket.copy('a', 'b');
    await bucket.move('b', 'c');
    await storage.move('c', 'd');
    expect((await bucket.info('d')).data).toMatchObject(kept);
    const replaced = { cacheControl: 'max-age=5', mimetype: 'text/new' };
    await bucket.copy('d', 'e', { copyMetadata: false, metadata: replaced });
    expect((await bucket.info('e')).data).toMatchObject({
      contentType: 'text/new',
      cacheControl: 'max-age=5',
      metadata: {},
    });
    await bucket.copy('d', 'f', { copyMetadata: false });
    expect((await bucket.info('f')).data).toMatchObject({ ...kept, metadata: {} });
    const odd = { copyMetadata: false, metadata: { cacheControl: 'immutable' } };
    expect(await bucket.copy('d', 'g', odd)).toMatchObject({ error: { code: 'INVALID_OPTION' } });
    await close();
  },
);

test.each(servers)('info and list on %s tell etag and dates', async (_, open) => {
  const { bucket, close } = await openOn(await open());
  await bucket.upload('dir/a', 'x');
  const date = expect.stringMatching(/^\d{4}-\d\d-\d\dT/);
  const { data: info } = await bucket.info('dir/a');
  expect(info).toMatchObject({ etag: expect.stringMatching(/^".+"$/), createdAt: date });
  expect(info).toMatchObject({ lastModified: date, version: expect.stringMatching(/./) });
  const entry = {
    updated_at: date,
    created_at: date,
    last_accessed_at: date,
    metadata: { eTag: info?.etag, size: 1, contentLength: 1, lastModified: date },
  };
  expect((await bucket.list('dir')).data).toMatchObject([{ name: 'a', ...entry }]);
  const page = await bucket.listV2({ prefix: 'dir/' });
  expect(page.data?.objects).toMatchObject([{ name: 'dir/a', key: 'dir/a', ...entry }]);
  await close();
});

test.each(['Supabase', 'S3'] as const)(
  'an absent bucket of %s is an error of every write, and nothing waits for it',
  async (name) => {
    const opened = name === 'S3' ? await openS3() : await openSupabase();
    const other = 'absent';
    const backend =
      'credentials' in opened.server
        ? s3Backend({ client: s3Client(opened.server), bucket: other })
        : supabaseBackend({
            url: opened.server.url,
            key: opened.server.serviceRoleKey,
            bucket: other,
          });
    const { bucket, storage, close } = await openOn(opened, backend);
    const source = await openTestStorage();
    await source.storage.upload('k', 'x');
    const both = storageClient({ source: source.storage, absent: storage });
    const absent = {
      data: null,
      error: { code: 'NoSuchBucket', statusCode: '404', message: 'Bucket not found' },
    };
    for (let attempt = 0; attempt < 2; attempt += 1) {
      expect(await bucket.upload('k', 'x')).toMatchObject(absent);
      expect(await bucket.upload('k', 'x', { upsert: true })).toMatchObject(absent);
      expect(await bucket.update('k', 'x')).toMatchObject(absent);
      const copied = both.from('source').copy('k', 'c', { destinationBucket: 'absent' });
      expect(await copied).toMatchObject(absent);
      const moved = both.from('source').move('k', 'm', { destinationBucket: 'absent' });
      expect(await moved).toMatchObject(absent);
    }
    expect(storage.pending()).toEqual([]);
    expect(await source.storage.exists('k')).toBe(true);
    await source.storage.close();
    await close();
  },
);

test('a bucket that is created later takes the next upload, and one that vanishes is noticed', async () => {
  const opened = await openSupabase();
  const { server } = opened;
  const { storage: supabase } = createClient(server.url, server.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const backend = supabaseBackend({ url: server.url, key: server.serviceRoleKey, bucket: 'late' });
  const { bucket, close } = await openOn(opened, backend);
  expect(await bucket.upload('k', 'x')).toMatchObject({ error: { code: 'NoSuchBucket' } });
  await supabase.createBucket('late');
  expect(await bucket.upload('k', 'x')).toMatchObject({ data: { stored: 'primary' } });
  await supabase.emptyBucket('late');
  await supabase.deleteBucket('late');
  // Accepted, because the bucket was there; the next one looks again.
  expect(await bucket.update('k', 'y')).toMatchObject({ data: { stored: 'local' } });
  expect(await bucket.update('l', 'y')).toMatchObject({ error: { code: 'NoSuchBucket' } });
  await close();
});

test('what Supabase refuses has its words and its code', async () => {
  const opened = await openSupabase();
  const { server } = opened;
  const { storage: supabase } = createClient(server.url, server.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const limits = { public: false, fileSizeLimit: '1kb', allowedMimeTypes: ['image/png'] };
  await supabase.createBucket('picky', limits);
  const backend = supabaseBackend({ url: server.url, key: server.serviceRoleKey, bucket: 'picky' });
  const { bucket, storage, close } = await openOn(opened, backend);
  const contentType = 'image/png';
  const calls = [bucket, supabase.from('picky')] as const;
  const large = calls.map((each) => each.upload('a', Buffer.alloc(2_000), { contentType }));
  const wrong = calls.map((each) => each.upload('b', 'x', { contentType: 'image/jpeg' }));
  for (const pair of [large, wrong]) {
    const [ours, theirs] = (await Promise.all(pair)).map(({ error }) => error);
    expect(theirs).toBeInstanceOf(StorageApiError);
    const fields = ['message', 'code', 'statusCode', 'name'];
    const shownOf = (error: unknown): unknown[] =>
      fields.map((field) => Reflect.get(Object(error), field));
    expect(shownOf(ours)).toEqual(shownOf(theirs));
  }
  expect(storage.pending()).toEqual([]);
  await close();
});
