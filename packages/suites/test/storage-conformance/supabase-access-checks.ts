import type { Check } from './run-checks.ts';
import { same } from './s3-world.ts';
import { type SupabaseWorld, answerOf, textOf } from './supabase-world.ts';

const version = { 'tus-resumable': '1.0.0' };

async function begin(
  { storageUrl, serviceRoleKey, bucket }: SupabaseWorld,
  length: number,
): Promise<string> {
  const words = { bucketName: bucket, objectName: 'large', contentType: 'text/x' };
  const metadata = Object.entries(words).map(
    ([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`,
  );
  const made = await fetch(`${storageUrl}/upload/resumable`, {
    method: 'POST',
    headers: {
      ...version,
      authorization: `Bearer ${serviceRoleKey}`,
      'upload-length': String(length),
      'upload-metadata': metadata.join(','),
    },
  });
  return made.headers.get('location') ?? `${made.status}`;
}

function send(
  world: SupabaseWorld,
  location: string,
  offset: number,
  body: string,
): Promise<Response> {
  const headers = {
    ...version,
    authorization: `Bearer ${world.serviceRoleKey}`,
    'upload-offset': String(offset),
    'content-type': 'application/offset+octet-stream',
  };
  return fetch(location, { method: 'PATCH', headers, body });
}

/** Promises about buckets, signed addresses, resumable uploads and who may do what. */
export const supabaseAccessChecks: readonly Check<SupabaseWorld>[] = [
  {
    name: 'a bucket that is not there is told by its code',
    expected: 'NoSuchBucket 404 in 400',
    run: ({ storage, bucket }) => answerOf(storage.from(`${bucket}-none`).upload('key', 'x')),
  },
  {
    name: 'a bucket is looked up by its name',
    expected: 'NoSuchBucket 404 in 400',
    run: ({ storage, bucket }) => answerOf(storage.getBucket(`${bucket}-none`)),
  },
  {
    name: 'making a bucket again is refused',
    expected: 'BucketAlreadyExists 409 in 400',
    run: ({ storage, bucket }) => answerOf(storage.createBucket(bucket)),
  },
  {
    name: 'a bucket with an object in it is not removed',
    expected: '409 in 400',
    async run({ storage, bucket, files }) {
      await files.upload('key', 'x');
      return (await answerOf(storage.deleteBucket(bucket))).slice(-10);
    },
  },
  {
    name: 'an object over the limit of its bucket is refused',
    expected: 'EntityTooLarge 413 in 400',
    async run({ storage, bucket, files }) {
      await storage.updateBucket(bucket, { public: false, fileSizeLimit: 5 });
      return answerOf(files.upload('key', '123456'));
    },
  },
  {
    name: 'a type that the bucket does not take is refused',
    expected: 'InvalidMimeType 415 in 400',
    async run({ storage, bucket, files }) {
      await storage.updateBucket(bucket, { public: false, allowedMimeTypes: ['image/*'] });
      return answerOf(files.upload('key', 'x', { contentType: 'text/css' }));
    },
  },
  {
    name: 'a token that was signed by somebody else is refused',
    expected: 'AccessDenied 403 in 400',
    run: ({ connect, serviceRoleKey, bucket }) =>
      answerOf(
        connect(`${serviceRoleKey.slice(0, -6)}AAAAAA`)
          .from(bucket)
          .upload('key', 'x'),
      ),
  },
  {
    name: 'who is nobody in particular uploads nothing',
    expected: 'AccessDenied 403 in 400',
    run: ({ connect, anonKey, bucket }) => answerOf(connect(anonKey).from(bucket).upload('k', 'x')),
  },
  {
    name: 'who is nobody in particular is told that a private object is not there',
    expected: 'NoSuchKey 404 in 400',
    async run({ connect, anonKey, bucket, files }) {
      await files.upload('key', 'x');
      return answerOf(connect(anonKey).from(bucket).info('key'));
    },
  },
  {
    name: 'who is nobody in particular lists nothing',
    expected: '[]',
    async run({ connect, anonKey, bucket, files }) {
      await files.upload('key', 'x');
      return JSON.stringify((await connect(anonKey).from(bucket).list()).data);
    },
  },
  {
    name: 'everyone reads an object of a public bucket',
    expected: 'x',
    async run(world) {
      const { storage, bucket, files } = world;
      await storage.updateBucket(bucket, { public: true });
      await files.upload('key', 'x');
      return (await world.fetch(files.getPublicUrl('key').data.publicUrl)).text();
    },
  },
  {
    name: 'nobody reads a private object at the public address',
    expected: '400',
    async run({ files, fetch: ask }) {
      await files.upload('key', 'x');
      return String((await ask(files.getPublicUrl('key').data.publicUrl)).status);
    },
  },
  {
    name: 'a signed address gives the object',
    expected: 'x',
    async run({ files, fetch: ask }) {
      await files.upload('dir/a b', 'x');
      const { data } = await files.createSignedUrl('dir/a b', 60);
      return (await ask(data?.signedUrl ?? '')).text();
    },
  },
  {
    name: 'a signed address is good for its object alone',
    expected: '400',
    async run({ files, fetch: ask }) {
      for (const key of ['one', 'two']) await files.upload(key, 'x');
      const { data } = await files.createSignedUrl('one', 60);
      return String((await ask((data?.signedUrl ?? '').replace('/one?', '/two?'))).status);
    },
  },
  {
    name: 'an address for what is not there is not signed',
    expected: 'NoSuchKey 404 in 400',
    run: ({ files }) => answerOf(files.createSignedUrl('none', 60)),
  },
  {
    name: 'who holds a signed token uploads its object, once',
    expected: 'ok, then KeyAlreadyExists 409 in 400',
    async run({ connect, anonKey, bucket, files }) {
      const token = (await files.createSignedUploadUrl('key')).data?.token ?? '';
      const anon = connect(anonKey).from(bucket);
      const first = await answerOf(anon.uploadToSignedUrl('key', token, 'x'));
      return `${first}, then ${await answerOf(anon.uploadToSignedUrl('key', token, 'y'))}`;
    },
  },
  {
    name: 'a resumable upload goes on at its offset and becomes an object',
    expected: 'ok',
    async run(world) {
      const location = await begin(world, 10);
      const first = await send(world, location, 0, '01234');
      const offset = first.headers.get('upload-offset');
      const last = await send(world, location, 5, '56789');
      const found = [first.status, offset, last.status, await textOf(world, 'large')];
      return same(found, [204, '5', 204, '0123456789']);
    },
  },
  {
    name: 'a resumable upload at another offset is a conflict',
    expected: '409',
    async run(world) {
      return String((await send(world, await begin(world, 10), 3, '345')).status);
    },
  },
  {
    name: 'a resumable upload tells how far it has come',
    expected: '5 of 10',
    async run(world) {
      const location = await begin(world, 10);
      await send(world, location, 0, '01234');
      const authorization = `Bearer ${world.serviceRoleKey}`;
      const head = await fetch(location, {
        method: 'HEAD',
        headers: { ...version, authorization },
      });
      return `${head.headers.get('upload-offset')} of ${head.headers.get('upload-length')}`;
    },
  },
  {
    name: 'an unfinished resumable upload shows no object',
    expected: 'NoSuchKey 404 in 400',
    async run(world) {
      await send(world, await begin(world, 10), 0, '01234');
      return answerOf(world.files.info('large'));
    },
  },
  {
    name: 'Storage answers in the protocol of S3 as well',
    expected: 'a refusal in XML',
    async run({ storageUrl }) {
      const said = await (await fetch(`${storageUrl}/s3/bucket/key`)).text();
      return said.trimStart().startsWith('<') ? 'a refusal in XML' : 'no such route';
    },
  },
];
