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

/** Checks of buckets, signed URLs, resumable uploads and permissions. */
export const supabaseAccessChecks: readonly Check<SupabaseWorld>[] = [
  {
    name: 'an absent bucket is reported by its code',
    expected: 'NoSuchBucket 404 in 400',
    run: ({ storage, bucket }) => answerOf(storage.from(`${bucket}-none`).upload('key', 'x')),
  },
  {
    name: 'a bucket is found by its name',
    expected: 'NoSuchBucket 404 in 400',
    run: ({ storage, bucket }) => answerOf(storage.getBucket(`${bucket}-none`)),
  },
  {
    name: 'creating an existing bucket is rejected',
    expected: 'BucketAlreadyExists 409 in 400',
    run: ({ storage, bucket }) => answerOf(storage.createBucket(bucket)),
  },
  {
    name: 'a bucket that holds an object is not removed',
    expected: '409 in 400',
    async run({ storage, bucket, files }) {
      await files.upload('key', 'x');
      return (await answerOf(storage.deleteBucket(bucket))).slice(-10);
    },
  },
  {
    name: 'an object over the size limit of its bucket is rejected',
    expected: 'EntityTooLarge 413 in 400',
    async run({ storage, bucket, files }) {
      await storage.updateBucket(bucket, { public: false, fileSizeLimit: 5 });
      return answerOf(files.upload('key', '123456'));
    },
  },
  {
    name: 'a type that the bucket does not allow is rejected',
    expected: 'InvalidMimeType 415 in 400',
    async run({ storage, bucket, files }) {
      await storage.updateBucket(bucket, { public: false, allowedMimeTypes: ['image/*'] });
      return answerOf(files.upload('key', 'x', { contentType: 'text/css' }));
    },
  },
  {
    name: 'a token signed with another key is rejected',
    expected: 'AccessDenied 403 in 400',
    run: ({ connect, serviceRoleKey, bucket }) =>
      answerOf(
        connect(`${serviceRoleKey.slice(0, -6)}AAAAAA`)
          .from(bucket)
          .upload('key', 'x'),
      ),
  },
  {
    name: 'an anonymous client cannot upload',
    expected: 'AccessDenied 403 in 400',
    run: ({ connect, anonKey, bucket }) => answerOf(connect(anonKey).from(bucket).upload('k', 'x')),
  },
  {
    name: 'a private object is reported as absent to an anonymous client',
    expected: 'NoSuchKey 404 in 400',
    async run({ connect, anonKey, bucket, files }) {
      await files.upload('key', 'x');
      return answerOf(connect(anonKey).from(bucket).info('key'));
    },
  },
  {
    name: 'an anonymous client lists nothing',
    expected: '[]',
    async run({ connect, anonKey, bucket, files }) {
      await files.upload('key', 'x');
      return JSON.stringify((await connect(anonKey).from(bucket).list()).data);
    },
  },
  {
    name: 'everyone can read an object of a public bucket',
    expected: 'x',
    async run(world) {
      const { storage, bucket, files } = world;
      await storage.updateBucket(bucket, { public: true });
      await files.upload('key', 'x');
      return (await world.fetch(files.getPublicUrl('key').data.publicUrl)).text();
    },
  },
  {
    name: 'a private object cannot be read at the public URL',
    expected: '400',
    async run({ files, fetch: ask }) {
      await files.upload('key', 'x');
      return String((await ask(files.getPublicUrl('key').data.publicUrl)).status);
    },
  },
  {
    name: 'a signed URL returns the object',
    expected: 'x',
    async run({ files, fetch: ask }) {
      await files.upload('dir/a b', 'x');
      const { data } = await files.createSignedUrl('dir/a b', 60);
      return (await ask(data?.signedUrl ?? '')).text();
    },
  },
  {
    name: 'a signed URL is valid only for its object',
    expected: '400',
    async run({ files, fetch: ask }) {
      for (const key of ['one', 'two']) await files.upload(key, 'x');
      const { data } = await files.createSignedUrl('one', 60);
      return String((await ask((data?.signedUrl ?? '').replace('/one?', '/two?'))).status);
    },
  },
  {
    name: 'a URL of an absent object is not signed',
    expected: 'NoSuchKey 404 in 400',
    run: ({ files }) => answerOf(files.createSignedUrl('none', 60)),
  },
  {
    name: 'a signed token allows one upload of its object',
    expected: 'ok, then KeyAlreadyExists 409 in 400',
    async run({ connect, anonKey, bucket, files }) {
      const token = (await files.createSignedUploadUrl('key')).data?.token ?? '';
      const anon = connect(anonKey).from(bucket);
      const first = await answerOf(anon.uploadToSignedUrl('key', token, 'x'));
      return `${first}, then ${await answerOf(anon.uploadToSignedUrl('key', token, 'y'))}`;
    },
  },
  {
    name: 'a resumable upload continues at its offset and becomes an object',
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
    name: 'a resumable upload reports its offset',
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
    name: 'an unfinished resumable upload creates no object',
    expected: 'NoSuchKey 404 in 400',
    async run(world) {
      await send(world, await begin(world, 10), 0, '01234');
      return answerOf(world.files.info('large'));
    },
  },
  {
    name: 'Storage also answers in the S3 protocol',
    expected: 'a refusal in XML',
    async run({ storageUrl }) {
      const body = await (await fetch(`${storageUrl}/s3/bucket/key`)).text();
      return body.trimStart().startsWith('<') ? 'a refusal in XML' : 'no such route';
    },
  },
];
