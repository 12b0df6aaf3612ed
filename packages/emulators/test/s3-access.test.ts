import { request } from 'node:http';
import {
  DeleteBucketPolicyCommand,
  DeleteObjectsCommand,
  GetBucketPolicyCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type OpenS3, s3Error, withS3 } from './s3-client.ts';

const Bucket = 'bucket';
const STAMP_MS = 1_700_000_000_000;
const other = { accessKeyId: 'other', secretAccessKey: 'other-secret' };

interface Presigner {
  presign(
    request: object,
    options: { expiresIn: number; signingDate: Date },
  ): Promise<{ path: string; query: Record<string, string> }>;
}

function canPresign(signer: object): signer is Presigner {
  return 'presign' in signer;
}

async function setPolicy({ client }: OpenS3, ...Statement: readonly object[]): Promise<void> {
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
  await client.send(new PutBucketPolicyCommand({ Bucket, Policy }));
}

function put(Key = 'key'): PutObjectCommand {
  return new PutObjectCommand({ Bucket, Key, Body: 'x' });
}

test('a wrong secret and an unknown access key are different errors', async () => {
  await withS3({}, async ({ connect, server }) => {
    const { accessKeyId } = server.credentials;
    const wrong = connect({ credentials: { accessKeyId, secretAccessKey: 'wrong' } });
    await expect(wrong.send(put())).rejects.toEqual(s3Error('SignatureDoesNotMatch', 403));
    const unknown = connect({ credentials: { ...other } });
    await expect(unknown.send(put())).rejects.toEqual(s3Error('InvalidAccessKeyId', 403));
  });
});

test('a client with a wrong clock gets RequestTimeTooSkewed, and corrects itself by the Date header', async () => {
  const clock = createFakeClock(STAMP_MS);
  const aligned = { systemClockOffset: STAMP_MS - Date.now() };
  await withS3(
    { clock },
    async ({ client, connect }) => {
      const skewed = connect({ systemClockOffset: 0 });
      await expect(skewed.send(put())).rejects.toEqual(s3Error('RequestTimeTooSkewed', 403));
      await connect({ systemClockOffset: 0, maxAttempts: 2 }).send(put());
      await client.send(put());
    },
    aligned,
  );
});

test('a presigned URL is valid until it expires, and only for the signed request', async () => {
  await withS3({}, async ({ client, server }) => {
    await client.send(put('a ü'));
    const signer = await client.config.signer();
    if (!canPresign(signer)) throw new TypeError('this SDK signs otherwise');
    const { host, port } = server;
    const sign = async (method: string, expiresIn: number, date = new Date()): Promise<string> => {
      const headers = { host: `${host}:${port}`, 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD' };
      const path = `/bucket/${encodeURIComponent('a ü')}`;
      const unsigned = {
        protocol: 'http:',
        hostname: host,
        port,
        method,
        path,
        query: {},
        headers,
      };
      const signed = await signer.presign(unsigned, { expiresIn, signingDate: date });
      const query = new URLSearchParams(signed.query);
      return `${server.url}${signed.path}?${query.toString().replaceAll('+', '%20')}`;
    };
    const read = await sign('GET', 60);
    expect(await (await fetch(read)).text()).toBe('x');
    const stolen = await fetch(read, { method: 'DELETE' });
    expect([stolen.status, await stolen.text()]).toEqual([
      403,
      expect.stringContaining('SignatureDoesNotMatch'),
    ]);
    const written = await fetch(await sign('PUT', 60), { method: 'PUT', body: 'new' });
    expect([written.status, await (await fetch(read)).text()]).toEqual([200, 'new']);
    const anHourAgo = new Date(Date.now() - 3_600_000);
    const late = await fetch(await sign('GET', 60, anHourAgo));
    expect([late.status, await late.text()]).toEqual([403, expect.stringContaining('expired')]);
  });
});

test('an anonymous request is denied unless the policy allows it to everyone', async () => {
  await withS3({}, async (open) => {
    await open.client.send(put());
    const address = `${open.server.url}/bucket/key`;
    expect((await fetch(address)).status).toBe(403);
    await setPolicy(open, {
      Effect: 'Allow',
      Principal: '*',
      Action: 's3:GetObject',
      Resource: 'arn:aws:s3:::bucket/*',
    });
    expect(await (await fetch(address)).text()).toBe('x');
    expect((await fetch(address, { method: 'DELETE' })).status).toBe(403);
  });
});

test('a policy that denies writes binds the owner, and writes succeed once it is replaced', async () => {
  await withS3({}, async (open) => {
    const { client } = open;
    const about = { Principal: '*', Resource: `arn:aws:s3:::${Bucket}/*` };
    await setPolicy(open, { ...about, Effect: 'Deny', Action: 's3:PutObject' });
    await expect(client.send(put())).rejects.toEqual(s3Error('AccessDenied', 403));
    const Principal = { Service: 'ecs-tasks.amazonaws.com' };
    await setPolicy(open, { ...about, Effect: 'Allow', Principal, Action: 's3:*' });
    await client.send(put());
    await client.send(new DeleteBucketPolicyCommand({ Bucket }));
    await expect(client.send(new GetBucketPolicyCommand({ Bucket }))).rejects.toEqual(
      s3Error('NoSuchBucketPolicy', 404),
    );
  });
});

test('a second account may do only what the policy allows its access key', async () => {
  await withS3({ accounts: [other] }, async (open) => {
    const stranger = open.connect({ credentials: { ...other } });
    await open.client.send(put('private/key'));
    await expect(stranger.send(put())).rejects.toEqual(s3Error('AccessDenied', 403));
    await setPolicy(
      open,
      {
        Effect: 'Allow',
        Principal: { AWS: ['arn:aws:iam::1:user/other'] },
        Action: ['s3:Put*', 's3:GetObject', 's3:DeleteObject'],
        Resource: 'arn:aws:s3:::bucket/*',
      },
      {
        Effect: 'Deny',
        Principal: { AWS: 'other' },
        Action: '*',
        Resource: 'arn:aws:s3:::bucket/private/?ey',
      },
    );
    await stranger.send(put());
    const read = new GetObjectCommand({ Bucket, Key: 'private/key' });
    await expect(stranger.send(read)).rejects.toEqual(s3Error('AccessDenied', 403));
    const head = new HeadObjectCommand({ Bucket, Key: 'private/key' });
    await expect(stranger.send(head)).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    // A caller without ListBucket does not learn that a key is missing.
    const absent = new GetObjectCommand({ Bucket, Key: 'none' });
    await expect(stranger.send(absent)).rejects.toEqual(s3Error('AccessDenied', 403));
    const list = new ListObjectsV2Command({ Bucket });
    await expect(stranger.send(list)).rejects.toEqual(s3Error('AccessDenied', 403));
    const { Deleted, Errors } = await stranger.send(
      new DeleteObjectsCommand({
        Bucket,
        Delete: { Objects: [{ Key: 'key' }, { Key: 'private/key' }] },
      }),
    );
    expect([Deleted, Errors]).toEqual([
      [{ Key: 'key' }],
      [expect.objectContaining({ Key: 'private/key', Code: 'AccessDenied' })],
    ]);
  });
});

test('the owner can always undo a policy that locks everyone out', async () => {
  await withS3({}, async (open) => {
    const everything = ['arn:aws:s3:::bucket', 'arn:aws:s3:::bucket/*'];
    await setPolicy(open, { Effect: 'Deny', Principal: '*', Action: '*', Resource: everything });
    await expect(open.client.send(put())).rejects.toEqual(s3Error('AccessDenied', 403));
    await open.client.send(new DeleteBucketPolicyCommand({ Bucket }));
    await open.client.send(put());
  });
});

test('a condition on the prefix permits listings of it, and nothing that states no prefix', async () => {
  await withS3({ accounts: [{ ...other }] }, async (open) => {
    await setPolicy(
      open,
      {
        Effect: 'Allow',
        Principal: { AWS: 'other' },
        Action: 's3:ListBucket',
        Resource: 'arn:aws:s3:::bucket',
        Condition: { StringLike: { 's3:prefix': 'own/*' } },
      },
      {
        Effect: 'Allow',
        Principal: { AWS: 'other' },
        Action: 's3:GetObject',
        Resource: 'arn:aws:s3:::bucket/*',
      },
    );
    const theirs = open.connect({ credentials: { ...other } });
    const list = (Prefix?: string) => theirs.send(new ListObjectsV2Command({ Bucket, Prefix }));
    expect((await list('own/')).KeyCount).toBe(0);
    for (const Prefix of ['other/', '', undefined]) {
      await expect(list(Prefix)).rejects.toEqual(s3Error('AccessDenied', 403));
    }
    // The read of an absent object states no prefix.
    const read = theirs.send(new GetObjectCommand({ Bucket, Key: 'own/absent' }));
    await expect(read).rejects.toEqual(s3Error('AccessDenied', 403));
  });
});

test.each([
  'not json',
  '[]',
  '{"Statement":[{"Effect":"Maybe","Principal":"*","Action":"*","Resource":"*"}]}',
  '{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}',
  '{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{}}]}',
  '{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}',
])('the policy %s is rejected, and the previous one stays', async (Policy) => {
  await withS3({}, async ({ client }) => {
    const set = client.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    await expect(set).rejects.toEqual(s3Error('MalformedPolicy', 400));
    await client.send(put());
  });
});

test('a path that is not UTF-8 and a subresource that is not implemented are rejected with an error', async () => {
  await withS3({}, async ({ server }) => {
    const ask = (path: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const { host, port } = server;
        const unsigned = request({ host, port, path }, (answer) => {
          answer.resume().once('end', () => resolve(answer.statusCode));
        });
        unsigned.once('error', reject).end();
      });
    expect(await ask('/bucket/%ff')).toBe(400);
    expect(await ask('/bucket?acl')).toBe(501);
    expect(await ask('/bucket/key?versionId=1')).toBe(501);
  });
});
