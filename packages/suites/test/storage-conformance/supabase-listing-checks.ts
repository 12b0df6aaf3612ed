import { systemClock } from '@holdfast/foundation';
import type { Check } from './run-checks.ts';
import { same } from './s3-world.ts';
import type { SupabaseWorld } from './supabase-world.ts';

/** Creates objects in this order. */
async function fill({ files }: SupabaseWorld): Promise<void> {
  for (const key of ['b', 'a', 'z/x', 'z/y/w', 'm/q', 'C', 'n']) {
    await files.upload(key, 'x');
    // No two have the same date, which is in whole milliseconds.
    const uploadedMs = Math.floor(systemClock.epochMs());
    while (Math.floor(systemClock.epochMs()) <= uploadedMs) await nextTurn();
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Listed = Awaited<ReturnType<SupabaseWorld['files']['list']>>;
type Page = Awaited<ReturnType<SupabaseWorld['files']['listV2']>>;

/** The names of a listing, folders with a slash. */
function namesOf({ data, error }: Listed): readonly string[] | string {
  return data?.map(({ name, id }) => (id === null ? `${name}/` : name)) ?? error?.message ?? '';
}

function pageOf({ data, error }: Page): unknown {
  if (data === null) return error?.message;
  const { folders, objects, hasNext } = data;
  return [folders.map(({ name }) => name), objects.map(({ name }) => name), hasNext];
}

type Options = Parameters<SupabaseWorld['files']['listV2']>[0];

function lists(
  name: string,
  list: (files: SupabaseWorld['files']) => PromiseLike<Listed>,
  wanted: readonly string[],
): Check<SupabaseWorld> {
  return {
    name: `a listing ${name}`,
    expected: 'ok',
    async run(world) {
      await fill(world);
      return same(namesOf(await list(world.files)), wanted);
    },
  };
}

function pages(name: string, options: Options, wanted: readonly unknown[]): Check<SupabaseWorld> {
  return {
    name: `listV2 ${name}`,
    expected: 'ok',
    async run(world) {
      await fill(world);
      const found: unknown[] = [];
      for (let cursor: string | undefined, more = true; more && found.length < 9;) {
        const page = await world.files.listV2({
          ...options,
          ...(cursor !== undefined && { cursor }),
        });
        found.push(pageOf(page));
        cursor = page.data?.nextCursor;
        more = page.data?.hasNext === true;
      }
      return same(found, wanted);
    },
  };
}

const by = (column: 'name' | 'created_at' | 'updated_at', order: 'asc' | 'desc') => ({
  sortBy: { column, order },
});

/** What is answered to a call: a message, or what it returned. */
function says(
  name: string,
  ask: (world: SupabaseWorld) => PromiseLike<{ data: unknown; error: { message: string } | null }>,
  expected: string,
): Check<SupabaseWorld> {
  return {
    name: `the words for ${name}`,
    expected,
    async run(world) {
      const { data, error } = await ask(world);
      return error?.message ?? JSON.stringify(data);
    },
  };
}

const allowed = 'must be equal to one of the allowed values';

/** Checks of listings, and of the words of answers. */
export const supabaseListingChecks: readonly Check<SupabaseWorld>[] = [
  lists('has folders and objects together by name', (files) => files.list(), [
    'a',
    'b',
    'C',
    'm/',
    'n',
    'z/',
  ]),
  lists('of a folder has its folders by name too', (files) => files.list('z'), ['x', 'y/']),
  lists('by a date has its folders first', (files) => files.list('', by('created_at', 'asc')), [
    'm/',
    'z/',
    'b',
    'a',
    'C',
    'n',
  ]),
  lists('by a date, descending', (files) => files.list('', by('created_at', 'desc')), [
    'z/',
    'm/',
    'n',
    'C',
    'a',
    'b',
  ]),
  lists('continues at its offset', (files) => files.list('', { limit: 2, offset: 1 }), ['b', 'C']),
  lists('is searched without case', (files) => files.list('', { search: 'c' }), ['C']),
  {
    name: 'listings of an absent bucket are empty',
    expected: 'ok',
    async run({ storage }) {
      const files = storage.from('absent');
      return same(
        [namesOf(await files.list()), pageOf(await files.listV2())],
        [[], [[], [], false]],
      );
    },
  },
  pages('lists keys by their bytes', {}, [
    [[], ['C', 'a', 'b', 'm/q', 'n', 'z/x', 'z/y/w'], false],
  ]),
  pages('continues at its cursor', { limit: 4 }, [
    [[], ['C', 'a', 'b', 'm/q'], true],
    [[], ['n', 'z/x', 'z/y/w'], false],
  ]),
  pages('sorts by a date, descending', by('created_at', 'desc'), [
    [[], ['n', 'C', 'm/q', 'z/y/w', 'z/x', 'a', 'b'], false],
  ]),
  pages('counts a folder where its first object would be', { with_delimiter: true, limit: 3 }, [
    [[], ['C', 'a', 'b'], true],
    [['m/', 'z/'], ['n'], false],
  ]),
  pages(
    'continues a listing with folders by a date',
    { with_delimiter: true, limit: 3, ...by('created_at', 'desc') },
    [
      [['m/'], ['n', 'C'], true],
      [['z/'], ['a', 'b'], false],
    ],
  ),
  {
    name: 'folders of listV2 have their last part as key',
    expected: 'ok',
    async run(world) {
      await fill(world);
      const { data } = await world.files.listV2({ with_delimiter: true, prefix: 'z/' });
      const keys = (entries: readonly { key?: string; name: string }[] = []): unknown[] =>
        entries.map(({ key, name }) => [key, name]);
      return same([keys(data?.folders), keys(data?.objects)], [[['y', 'z/y/']], [['x', 'z/x']]]);
    },
  },
  {
    name: 'emptying a bucket leaves nothing in it',
    expected: 'ok',
    async run(world) {
      await fill(world);
      const { storage, bucket, files } = world;
      await storage.emptyBucket(bucket);
      return same([namesOf(await files.list()), (await files.exists('a')).data], [[], false]);
    },
  },
  says(
    'an emptied bucket',
    ({ storage, bucket }) => storage.emptyBucket(bucket),
    '{"message":"Empty bucket has been queued. Completion may take up to an hour."}',
  ),
  says(
    'the removal of nothing',
    ({ files }) => files.remove([]),
    'body/prefixes must NOT have fewer than 1 items',
  ),
  says('the removal of what is absent', ({ files }) => files.remove(['none']), '[]'),
  says('a removal from an absent bucket', ({ storage }) => storage.from('no').remove(['k']), '[]'),
  says(
    'an unknown column',
    ({ files }) => files.list('', { sortBy: { column: 'size' } }),
    `body/sortBy/column ${allowed}`,
  ),
  says(
    'an unknown order',
    ({ files }) => files.list('', { sortBy: { order: 'up' } }),
    `body/sortBy/order ${allowed}`,
  ),
  says('a limit of 0', ({ files }) => files.list('', { limit: 0 }), 'body/limit must be >= 1'),
  says(
    'a cursor of nobody',
    ({ files }) => files.listV2({ cursor: '???' }),
    'Invalid Parameter continuation token',
  ),
  says(
    'a signature that has expired',
    async ({ files }) => {
      await files.upload('k', 'x');
      return files.createSignedUrl('k', 0);
    },
    'body/expiresIn must be >= 1',
  ),
  says(
    'a copy into an absent bucket',
    async ({ files }) => {
      await files.upload('k', 'x');
      return files.copy('k', 'l', { destinationBucket: 'absent' });
    },
    'The related resource does not exist',
  ),
  says(
    'an upload to an absent bucket',
    ({ storage }) => storage.from('absent').upload('k', 'x'),
    'Bucket not found',
  ),
  says('an absent object', ({ files }) => files.download('none'), 'Object not found'),
  says('an invalid key', ({ files }) => files.upload('ü', 'x'), 'Invalid key: ü'),
];
