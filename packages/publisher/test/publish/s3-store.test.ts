import { expect, test } from '@jest/globals';
import { S3Client } from '@aws-sdk/client-s3';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { createS3SiteStore } from '../../src/s3.ts';
import { createPublisher } from '../../src/publish/publisher.ts';
import { createMemorySiteStore } from '../../src/publish/memory-store.ts';
import type { SiteStore } from '../../src/publish/site-store.ts';
import { s3Store, siteOf, stampOf } from './sites.ts';

const HEADERS = { contentType: 'text/plain', cacheControl: 'no-store' };

async function honoursConditions(store: SiteStore): Promise<void> {
  const body = Buffer.from('1');
  expect(await store.get('k')).toBeUndefined();
  expect(await store.sizeOf('k')).toBeUndefined();
  const first = await store.put('k', body, HEADERS, { ifAbsent: true });
  expect(await store.put('k', body, HEADERS, { ifAbsent: true })).toBe('conflict');
  const etag = first === 'conflict' ? '' : first.etag;
  const next = Buffer.from('22');
  expect(await store.put('k', next, HEADERS, { ifMatch: etag })).not.toBe('conflict');
  expect(await store.put('k', body, HEADERS, { ifMatch: etag })).toBe('conflict');
  expect(await store.sizeOf('k')).toBe(2);
  expect(await store.list('k')).toEqual(['k']);
  expect(await store.remove(['k', 'never'])).toEqual({ removed: ['k', 'never'], failed: [] });
  expect(await store.get('k')).toBeUndefined();
}

test('both stores hold their conditions', async () => {
  await honoursConditions(createMemorySiteStore());
  const { store, close } = await s3Store();
  await honoursConditions(store);
  await close();
});

test('a site is published to S3, and read back', async () => {
  const { store, close } = await s3Store();
  const publisher = createPublisher({ store });
  const outcome = await publisher.publish(await siteOf('one'), stampOf(1));
  expect(outcome).toMatchObject({ kind: 'published' });
  expect(await publisher.current()).toMatchObject({ order: 1, commit: 'c1' });
  await close();
});

test('a bucket that is missing, a refusal and a silence are told apart', async () => {
  const { store, close } = await s3Store();
  await close();
  await expect(store.get('k')).rejects.toMatchObject({ kind: 'network' });

  const answers: [number, string][] = [
    [404, 'NoSuchBucket'],
    [403, 'AccessDenied'],
    [503, 'SlowDown'],
  ];
  const server = createServer((_, response) => {
    const [status, code] = answers.shift() ?? [500, 'InternalError'];
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(`<Error><Code>${code}</Code><Message>m</Message></Error>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new S3Client({
    endpoint: `http://127.0.0.1:${Object(server.address()).port}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
  });
  const asked = createS3SiteStore({ client, bucket: 'site' });
  await expect(asked.get('k')).rejects.toMatchObject({ kind: 'missing-bucket' });
  await expect(asked.get('k')).rejects.toMatchObject({
    kind: 'denied',
    message: expect.stringContaining('Access Denied'),
  });
  await expect(asked.get('k')).rejects.toMatchObject({ kind: 'unavailable', retryable: true });
  client.destroy();
  server.close();
  server.closeAllConnections();
});
