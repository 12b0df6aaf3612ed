import { createHmac } from 'node:crypto';
import { expect, test } from '@jest/globals';
import {
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetBucketAclCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectTaggingCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { systemClock } from '@holdfast/foundation';
import { type OpenS3, s3Error, withS3 } from './s3-client.ts';

const refused = s3Error('NotImplemented', 501);
const ofKey = { Bucket: 'bucket', Key: 'k' };
const customerKey = {
  SSECustomerAlgorithm: 'AES256',
  SSECustomerKey: Buffer.alloc(32, 1).toString('base64'),
};

test.each<[string, Partial<PutObjectCommandInput>]>([
  ['a key of the customer', customerKey],
  ['encryption', { ServerSideEncryption: 'aws:kms' }],
  ['tags', { Tagging: 'a=b' }],
  ['a lock', { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: new Date(2e12) }],
  ['a legal hold', { ObjectLockLegalHoldStatus: 'ON' }],
  ['a public ACL', { ACL: 'public-read' }],
  ['a grant', { GrantRead: 'id=1' }],
  ['another storage class', { StorageClass: 'GLACIER' }],
  ['a redirect', { WebsiteRedirectLocation: '/elsewhere' }],
  ['an expected owner', { ExpectedBucketOwner: '1' }],
])('a write with %s is refused in words, and stores nothing', async (_, options) => {
  await withS3({}, async ({ client, server }) => {
    const put = client.send(new PutObjectCommand({ ...ofKey, Body: 'x', ...options }));
    await expect(put).rejects.toEqual(refused);
    await expect(put).rejects.toThrow(/does not implement the header x-amz-\S+: it /);
    const begin = client.send(new CreateMultipartUploadCommand({ ...ofKey, ...options }));
    await expect(begin).rejects.toEqual(refused);
    expect(server.getStats().objects).toBe(0);
  });
});

test.each<[string, (open: OpenS3) => Promise<unknown>]>([
  [
    'a read with a key of the customer',
    ({ client }) => client.send(new GetObjectCommand({ ...ofKey, ...customerKey })),
  ],
  [
    'a part with a key of the customer',
    ({ client }) =>
      client.send(
        new UploadPartCommand({
          ...ofKey,
          UploadId: 'u',
          PartNumber: 1,
          Body: 'x',
          ...customerKey,
        }),
      ),
  ],
  [
    'a copy with new tags',
    ({ client }) =>
      client.send(new CopyObjectCommand({ ...ofKey, CopySource: 'bucket/k', Tagging: 'a=b' })),
  ],
  [
    'a bucket with locks',
    ({ client }) =>
      client.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true })),
  ],
  ['the tags of an object', ({ client }) => client.send(new GetObjectTaggingCommand(ofKey))],
  [
    'tagging',
    ({ client }) => client.send(new PutObjectTaggingCommand({ ...ofKey, Tagging: { TagSet: [] } })),
  ],
  ['an ACL', ({ client }) => client.send(new GetBucketAclCommand({ Bucket: 'bucket' }))],
  [
    'versioning',
    ({ client }) =>
      client.send(
        new PutBucketVersioningCommand({
          Bucket: 'bucket',
          VersioningConfiguration: { Status: 'Enabled' },
        }),
      ),
  ],
  [
    'a list of versions',
    ({ client }) => client.send(new ListObjectVersionsCommand({ Bucket: 'bucket' })),
  ],
  [
    'a version of an object',
    ({ client }) => client.send(new GetObjectCommand({ ...ofKey, VersionId: 'v' })),
  ],
])('%s is refused in words', async (_, call) => {
  await withS3({}, async (open) => {
    await open.client.send(new PutObjectCommand({ ...ofKey, Body: 'x' }));
    const called = call(open);
    await expect(called).rejects.toEqual(refused);
    await expect(called).rejects.toThrow(/does not implement/);
  });
});

test('a URL signed in the old way is refused in words', async () => {
  await withS3({}, async ({ server }) => {
    const signed = await fetch(`${server.url}/bucket/k?AWSAccessKeyId=a&Signature=b&Expires=9`);
    expect([signed.status, await signed.text()]).toEqual([
      400,
      expect.stringContaining('Please use AWS4-HMAC-SHA256'),
    ]);
  });
});

test('what happens anyway may be asked for', async () => {
  await withS3({}, async ({ client }) => {
    const same = { ACL: 'private', StorageClass: 'STANDARD' } as const;
    await client.send(new PutObjectCommand({ ...ofKey, Body: 'x', ...same }));
    const versioning = await client.send(new GetBucketVersioningCommand({ Bucket: 'bucket' }));
    expect(versioning.Status).toBeUndefined();
  });
});

test('error documents have no namespace, and quotes are entities that every parser knows', async () => {
  await withS3({}, async ({ client, server }) => {
    await client.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'a<b>&"c', Body: 'x' }));
    const anonymous = await fetch(`${server.url}/absent/k`);
    const error = await anonymous.text();
    expect(error).toContain('<Error><Code>NoSuchBucket</Code>');
    const documents: string[] = [];
    client.middlewareStack.add(
      (next) => async (request) => {
        const result = await next(request);
        const { body }: { body: AsyncIterable<Uint8Array> } = Object(result.response);
        const chunks: Uint8Array[] = [];
        for await (const chunk of body) chunks.push(chunk);
        documents.push(Buffer.concat(chunks).toString());
        Object.assign(Object(result.response), { body: Buffer.concat(chunks) });
        return result;
      },
      { step: 'deserialize', priority: 'low' },
    );
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: 'bucket' }));
    expect(Contents).toMatchObject([{ Key: 'a<b>&"c', ETag: expect.stringMatching(/^"\w+"$/) }]);
    expect(documents.join('')).toMatch(/<ETag>&quot;\w+&quot;<\/ETag>/);
    expect(documents.join('')).toContain('<Key>a&lt;b&gt;&amp;&quot;c</Key>');
  });
});

/** The client of the SDK signs by the wall clock, and the server compares. */
const nowMs = systemClock.epochMs();
const stamp = `${new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[:-]/g, '')}Z`;

/** A form as a server signs it for a browser. */
function signedForm(
  { accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string },
  more: {
    conditions?: unknown[];
    fields?: Readonly<Record<string, string>>;
    expiration?: string;
    secret?: string;
  } = {},
): FormData {
  const scope = [stamp.slice(0, 8), 'us-east-1', 's3', 'aws4_request'];
  const fields: Record<string, string> = {
    key: 'dir/${filename}',
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': [accessKeyId, ...scope].join('/'),
    'x-amz-date': stamp,
    'x-amz-meta-color': 'blue',
    'Content-Type': 'text/x',
    ...more.fields,
  };
  const { expiration = new Date(nowMs + 600_000).toISOString() } = more;
  const conditions = [
    { bucket: 'bucket' },
    ['starts-with', '$key', 'dir/'],
    ['content-length-range', 1, 10],
    ...['algorithm', 'credential', 'date'].map((name) => ({
      [`x-amz-${name}`]: fields[`x-amz-${name}`],
    })),
    ['eq', '$x-amz-meta-color', 'blue'],
    ['starts-with', '$Content-Type', 'text/'],
    ...(more.conditions ?? []),
  ];
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64');
  const key = scope.reduce<Buffer | string>(
    (outer, part) => createHmac('sha256', outer).update(part).digest(),
    `AWS4${more.secret ?? secretAccessKey}`,
  );
  const signature = createHmac('sha256', key).update(policy).digest('hex');
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append('Policy', policy);
  form.append('X-Amz-Signature', signature);
  form.append('file', new Blob(['bytes']), 'a.txt');
  if (more.secret === 'old') form.delete('x-amz-algorithm');
  return form;
}

test('a form with a signed policy uploads an object', async () => {
  await withS3({}, async ({ server, client }) => {
    const post = (form: FormData): Promise<Response> =>
      fetch(`${server.url}/bucket`, { method: 'POST', body: form });
    const posted = await post(signedForm(server.credentials));
    expect([posted.status, posted.headers.get('etag')]).toEqual([204, expect.stringMatching(/^"/)]);
    const get = new GetObjectCommand({ Bucket: 'bucket', Key: 'dir/a.txt' });
    const read = await client.send(get, { requestTimeout: 5_000 });
    expect(await read.Body?.transformToString()).toBe('bytes');
    expect(read).toMatchObject({ ContentType: 'text/x', Metadata: { color: 'blue' } });
    const created = signedForm(server.credentials, {
      fields: { success_action_status: '201' },
      conditions: [{ success_action_status: '201' }],
    });
    const answer = await post(created);
    expect([answer.status, await answer.text()]).toEqual([
      201,
      expect.stringContaining('<Key>dir/a.txt</Key>'),
    ]);
  });
});

test.each<[string, string, number, Parameters<typeof signedForm>[1]]>([
  ['another secret', 'SignatureDoesNotMatch', 403, { secret: 'wrong' }],
  ['an expired policy', 'Policy expired', 403, { expiration: '2001-01-01T00:00:00Z' }],
  ['another key', 'Policy Condition failed', 403, { fields: { key: 'other' } }],
  ['another value', 'Policy Condition failed', 403, { fields: { 'x-amz-meta-color': 'red' } }],
  ['a longer body', 'content-length-range', 403, { conditions: [['content-length-range', 0, 2]] }],
  ['a field of its own', 'Extra input fields: acl', 403, { fields: { acl: 'public-read' } }],
  ['an older signature', 'AWS4-HMAC-SHA256', 400, { secret: 'old' }],
  ['no key', 'a field named key', 400, { fields: { key: '' } }],
])('a form with %s is refused', async (_, words, status, more) => {
  await withS3({}, async ({ server }) => {
    const body = signedForm(server.credentials, more);
    const posted = await fetch(`${server.url}/bucket`, { method: 'POST', body });
    expect([posted.status, await posted.text()]).toEqual([status, expect.stringContaining(words)]);
    expect(server.getStats().objects).toBe(0);
    const bare = new FormData();
    bare.append('key', 'k');
    bare.append('file', new Blob(['x']), 'x');
    expect((await fetch(`${server.url}/bucket`, { method: 'POST', body: bare })).status).toBe(403);
  });
});
