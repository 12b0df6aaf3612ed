import { Client } from 'minio';
import type { ClientWorld } from './s3-client-checks.ts';
import { same } from '../s3-world.ts';

/** The check of minio-js, which runs in this process. */
export const minioCheck = {
  name: 'minio-js uploads, lists, copies, posts and removes, and reads the code of an error',
  async run({ target, bucket, large }: ClientWorld): Promise<string> {
    const { hostname, port } = new URL(target.url);
    const client = new Client({
      endPoint: hostname,
      port: Number(port),
      useSSL: false,
      accessKey: target.credentials.accessKeyId,
      secretKey: target.credentials.secretAccessKey,
      region: 'us-east-1',
      partSize: 5 * 2 ** 20,
    });
    await client.makeBucket(bucket, 'us-east-1');
    await client.putObject(bucket, 'large', large, large.length, { 'X-Amz-Meta-Color': 'blue' });
    await client.putObject(bucket, 'dir/a b', 'text');
    await client.copyObject(bucket, 'copy', `/${bucket}/dir/a b`);
    const { size, metaData } = await client.statObject(bucket, 'large');
    const keys: unknown[] = [];
    for await (const { name } of client.listObjectsV2(bucket, '', true)) keys.push(name);
    const policy = client.newPostPolicy();
    policy.setBucket(bucket);
    policy.setKey('posted');
    policy.setExpires(new Date(Date.now() + 60_000));
    const { postURL, formData } = await client.presignedPostPolicy(policy);
    const form = new FormData();
    for (const [name, value] of Object.entries(formData)) form.append(name, String(value));
    form.append('file', new Blob(['posted']), 'f');
    const posted = await fetch(postURL, { method: 'POST', body: form });
    const absent = await client.statObject(bucket, 'none').catch(codeOf);
    const noBucket = await client.getObject(`${bucket}-absent`, 'k').catch(codeOf);
    const color = Object(metaData).color;
    await client.removeObjects(bucket, ['large', 'dir/a b', 'copy', 'posted']);
    await client.removeBucket(bucket);
    return same(
      [size, color, keys, posted.status, absent, noBucket],
      [large.length, 'blue', ['copy', 'dir/a b', 'large'], 204, 'NotFound', 'NoSuchBucket'],
    );
  },
};

function codeOf(error: unknown): unknown {
  return Object(error).code;
}
