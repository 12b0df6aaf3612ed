import { Readable } from 'node:stream';
import type { Check } from './run-checks.ts';
import { same } from './s3-world.ts';
import { type SupabaseWorld, answerOf, errorTextOf, textOf } from './supabase-world.ts';

/** Uploads, and reports whether the answer and the object are as expected. */
async function upload(
  world: SupabaseWorld,
  body: Parameters<SupabaseWorld['files']['upload']>[1],
): Promise<string> {
  const { bucket, files } = world;
  const { data, error } = await files.upload('dir/a b', body);
  if (error !== null) return errorTextOf(error);
  const isWhole = data.fullPath === `${bucket}/dir/a b` && data.id.length === 36;
  return same([isWhole, await textOf(world, 'dir/a b')], [true, 'bytes']);
}

/** Checks of single objects. */
export const supabaseObjectChecks: readonly Check<SupabaseWorld>[] = [
  {
    name: 'a Buffer is stored, and the answer has its full path',
    expected: 'ok',
    run: (world) => upload(world, Buffer.from('bytes')),
  },
  { name: 'a string is stored', expected: 'ok', run: (world) => upload(world, 'bytes') },
  { name: 'a Blob is stored', expected: 'ok', run: (world) => upload(world, new Blob(['bytes'])) },
  {
    name: 'a stream is stored',
    expected: 'ok',
    run: (world) => upload(world, Readable.from([Buffer.from('by'), Buffer.from('tes')])),
  },
  {
    name: 'an empty object can be stored and read',
    expected: 'ok',
    async run({ files }) {
      await files.upload('key', Buffer.alloc(0));
      return same((await files.info('key')).data?.size, 0);
    },
  },
  {
    name: 'an existing key is rejected without upsert',
    expected: 'KeyAlreadyExists 409 in 400',
    async run({ files }) {
      await files.upload('key', 'x');
      return answerOf(files.upload('key', 'y'));
    },
  },
  {
    name: 'an upsert keeps the id and makes a new version',
    expected: 'ok',
    async run({ files }) {
      await files.upload('key', 'x');
      const before = (await files.info('key')).data;
      await files.upload('key', 'y', { upsert: true });
      const after = (await files.info('key')).data;
      return same([after?.id === before?.id, after?.version === before?.version], [true, false]);
    },
  },
  {
    name: 'metadata are returned as they were given',
    expected: 'ok',
    async run({ files }) {
      const metadata = { op: '1', n: 2, deep: { a: true } };
      await files.upload('key', 'x', { metadata });
      return same((await files.info('key')).data?.metadata, metadata);
    },
  },
  {
    name: 'an upsert without metadata removes them',
    expected: '{}',
    async run({ files }) {
      await files.upload('key', 'x', { metadata: { op: '1' } });
      await files.upload('key', 'y', { upsert: true });
      return JSON.stringify((await files.info('key')).data?.metadata);
    },
  },
  {
    name: 'type and cache control are returned as they were given',
    expected: 'text/x max-age=60',
    async run({ files }) {
      await files.upload('key', 'x', { contentType: 'text/x', cacheControl: '60' });
      const { data } = await files.info('key');
      return `${data?.contentType} ${data?.cacheControl}`;
    },
  },
  {
    name: 'update creates an absent object',
    expected: 'x',
    async run(world) {
      await world.files.update('key', 'x');
      return textOf(world, 'key');
    },
  },
  {
    // Servers before September 2026 let several succeed.
    name: 'of ten concurrent creates of one key at least one succeeds, and one of those stays',
    expected: 'ok',
    async run(world) {
      const { files } = world;
      const bodies = Array.from({ length: 10 }, (_, at) => `${at}`);
      const results = await Promise.all(bodies.map((body) => answerOf(files.upload('k', body))));
      const stored = bodies.filter((_, at) => results[at] === 'ok');
      const refused = new Set(results.filter((result) => result !== 'ok'));
      refused.delete('KeyAlreadyExists 409 in 400');
      return same([stored.includes(await textOf(world, 'k')), [...refused]], [true, []]);
    },
  },
  {
    name: 'a key outside the charset is rejected',
    expected: 'InvalidKey 400 in 400',
    run: ({ files }) => answerOf(files.upload('ü', 'x')),
  },
  {
    name: 'a key segment too long for a file name is an error of the server',
    expected: '500',
    async run({ files }) {
      return (await answerOf(files.upload(`${'x'.repeat(300)}/y`, 'x'))).slice(-3);
    },
  },
  {
    name: 'a query for an absent key reports its absence',
    expected: 'NoSuchKey 404 in 400',
    run: ({ files }) => answerOf(files.info('none')),
  },
  {
    name: 'exists() distinguishes an existing key from an absent one',
    expected: 'ok',
    async run({ files }) {
      await files.upload('key', 'x');
      return same(
        [(await files.exists('key')).data, (await files.exists('none')).data],
        [true, false],
      );
    },
  },
  {
    name: 'reading an absent key returns 400',
    expected: '400',
    async run({ files }) {
      return (await answerOf(files.download('none'))).slice(-3);
    },
  },
  {
    name: 'a range returns those bytes',
    expected: '206 234',
    async run({ storageUrl, serviceRoleKey, bucket, files }) {
      await files.upload('key', '0123456789');
      const headers = { authorization: `Bearer ${serviceRoleKey}`, range: 'bytes=2-4' };
      const address = `${storageUrl}/object/authenticated/${bucket}/key`;
      const answer = await fetch(address, { headers });
      return `${answer.status} ${await answer.text()}`;
    },
  },
  {
    name: 'a copy has the bytes and the metadata of its source',
    expected: 'ok',
    async run(world) {
      const { files } = world;
      await files.upload('a', 'bytes', { metadata: { op: '1' } });
      const copied = await answerOf(files.copy('a', 'dir/b'));
      const metadata = (await files.info('dir/b')).data?.metadata;
      return same([copied, await textOf(world, 'dir/b'), metadata], ['ok', 'bytes', { op: '1' }]);
    },
  },
  {
    name: 'a copy to an existing key is rejected',
    expected: 'KeyAlreadyExists 409 in 400',
    async run({ files }) {
      await files.upload('a', 'x');
      await files.upload('b', 'y');
      return answerOf(files.copy('a', 'b'));
    },
  },
  {
    name: 'a move removes its source',
    expected: 'ok',
    async run(world) {
      const { files } = world;
      await files.upload('a', 'bytes');
      await files.move('a', 'b');
      return same([await textOf(world, 'b'), (await files.exists('a')).data], ['bytes', false]);
    },
  },
  {
    name: 'a move of an absent object reports its absence',
    expected: 'NoSuchKey 404 in 400',
    run: ({ files }) => answerOf(files.move('none', 'b')),
  },
  {
    name: 'removing reports exactly the removed objects',
    expected: 'ok',
    async run({ files }) {
      for (const key of ['a', 'b']) await files.upload(key, 'x');
      const { data } = await files.remove(['a', 'none']);
      return same([data?.map(({ name }) => name), (await files.exists('a')).data], [['a'], false]);
    },
  },
];
