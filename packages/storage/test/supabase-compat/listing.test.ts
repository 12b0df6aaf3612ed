import { expect, test } from '@jest/globals';
import type { Storage } from '../../src/storage.ts';
import type { BucketListV2Options, BucketPage } from '../../src/supabase-compat/listing.ts';
import type { StorageBucket } from '../../src/supabase-compat/bucket.ts';
import { storageClient } from '../../src/supabase-compat/client.ts';
import { AWAY, openTestStorage } from '../open-storage.ts';

/** Created in this order, a second apart. */
const KEYS = ['b', 'a', 'z/x', 'z/y/w', 'm/q', 'C', 'n'];

async function openListed(): Promise<{ storage: Storage; bucket: StorageBucket }> {
  const { storage, clock } = await openTestStorage();
  for (const key of KEYS) {
    await storage.upload(key, 'x');
    await clock.advance(1_000);
  }
  return { storage, bucket: storageClient({ avatars: storage }).from('avatars') };
}

const namesOf = ({ folders, objects }: BucketPage): string[] => [
  ...folders.map(({ name }) => name),
  ...objects.map(({ name }) => name),
];

async function pagesOf(bucket: StorageBucket, options: BucketListV2Options): Promise<string[][]> {
  const pages: string[][] = [];
  for (let cursor: string | undefined, hasNext = true; hasNext;) {
    const { data, error } = await bucket.listV2({
      ...options,
      ...(cursor !== undefined && { cursor }),
    });
    expect(error).toBeNull();
    if (data === null) break;
    pages.push(namesOf(data));
    ({ hasNext } = data);
    cursor = data.nextCursor;
    expect(cursor === undefined).toBe(!hasNext);
  }
  return pages;
}

const by = (column: string, order: string) => ({ sortBy: { column, order } });

// What the real server gave for the same objects.
test.each<[string, BucketListV2Options, string[]]>([
  ['by name', {}, ['C', 'a', 'b', 'm/q', 'n', 'z/x', 'z/y/w']],
  ['by name, descending', by('name', 'desc'), ['z/y/w', 'z/x', 'n', 'm/q', 'b', 'a', 'C']],
  ['by creation', by('created_at', 'asc'), ['b', 'a', 'z/x', 'z/y/w', 'm/q', 'C', 'n']],
  ['by change, descending', by('updated_at', 'desc'), ['n', 'C', 'm/q', 'z/y/w', 'z/x', 'a', 'b']],
  ['below a prefix', { prefix: 'z/' }, ['z/x', 'z/y/w']],
  ['below a prefix that begins with slashes', { prefix: '//z/' }, ['z/x', 'z/y/w']],
])('listV2 %s is the same in one page and in pages of two', async (_, options, expected) => {
  const { storage, bucket } = await openListed();
  expect(await pagesOf(bucket, options)).toEqual([expected]);
  const pages = await pagesOf(bucket, { ...options, limit: 2 });
  expect(pages.flat()).toEqual(expected);
  for (const page of pages) expect(page.length).toBeLessThanOrEqual(2);
  await storage.close();
});

test.each<[string, BucketListV2Options, string[][]]>([
  [
    'by name',
    {},
    [
      ['C', 'a', 'b'],
      ['m/', 'z/', 'n'],
    ],
  ],
  [
    'by creation, descending',
    by('created_at', 'desc'),
    [
      ['m/', 'n', 'C'],
      ['z/', 'a', 'b'],
    ],
  ],
  ['below a folder', { prefix: 'z/' }, [['z/y/', 'z/x']]],
  ['below a part of a name', { prefix: 'z' }, [['z/']]],
])('listV2 with folders %s counts a folder once, in pages of three', async (_, options, pages) => {
  const { storage, bucket } = await openListed();
  expect(await pagesOf(bucket, { ...options, with_delimiter: true, limit: 3 })).toEqual(pages);
  await storage.close();
});

test('a folder of listV2 has its last part as key', async () => {
  const { storage, bucket } = await openListed();
  const { data } = await bucket.listV2({ with_delimiter: true, prefix: 'z/' });
  expect(data?.folders).toEqual([{ name: 'z/y/', key: 'y' }]);
  expect(data?.objects).toMatchObject([{ name: 'z/x', key: 'x', id: 'z/x' }]);
  await storage.close();
});

test('listV2 goes on where it was when objects come and go between its pages', async () => {
  const { storage, bucket } = await openListed();
  const options = { ...by('name', 'desc'), limit: 2 };
  const first = await bucket.listV2(options);
  expect(first.data && namesOf(first.data)).toEqual(['z/y/w', 'z/x']);
  await bucket.remove(['z/x']);
  await bucket.upload('z/z', 'x');
  const next = await bucket.listV2({ ...options, cursor: first.data?.nextCursor ?? '' });
  expect(next.data && namesOf(next.data)).toEqual(['n', 'm/q']);
  await storage.close();
});

test('what listV2 cannot read is refused', async () => {
  const { storage, bucket } = await openListed();
  for (const options of [
    { cursor: '???' },
    { cursor: '???', with_delimiter: true },
    { limit: 0 },
    by('size', 'asc'),
    by('name', 'up'),
  ]) {
    expect(await bucket.listV2(options)).toMatchObject({ error: { code: 'INVALID_OPTION' } });
  }
  await storage.close();
});

test('lists contain writes that wait', async () => {
  const { storage, clock, primary } = await openTestStorage();
  const bucket = storageClient({ avatars: storage }).from('avatars');
  await bucket.upload('dir/a', 'x');
  primary.intercept = ({ kind }) => (kind === 'list' ? undefined : { before: AWAY });
  await clock.settle(bucket.update('dir/b', 'x'));
  await clock.settle(bucket.remove(['dir/a']));
  expect((await bucket.list('dir')).data?.map(({ name }) => name)).toEqual(['b']);
  const page = (await bucket.listV2({ prefix: 'dir/' })).data;
  expect(page?.objects.map(({ name }) => name)).toEqual(['dir/b']);
  await storage.close({ deadlineMs: 0 });
});
