import { type RequestListener, createServer } from 'node:http';
import { once } from 'node:events';
import { S3Client } from '@aws-sdk/client-s3';
import { afterEach, expect, test } from '@jest/globals';
import { s3Backend } from '../../src/backends/s3/backend.ts';
import { bytesSource, collect } from '../../src/object/body.ts';
import { putOptions } from './put-options.ts';
import { s3Client } from './servers.ts';

const BYTES = Buffer.from('content');
const { signal } = new AbortController();
const opened: (() => void)[] = [];

afterEach(() => {
  for (const close of opened.splice(0)) close();
});

/** A server on a real socket that sends one response to every request, and counts them. */
async function scripted(answer: RequestListener, requestTimeoutMs = 10_000) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    request.resume();
    request.on('end', () => answer(request, response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
  const client = s3Client({ url: `http://127.0.0.1:${port}`, credentials });
  opened.push(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { asked, backend: s3Backend({ client, bucket: 'b', requestTimeoutMs }) };
}

const xml =
  (status: number, code: string): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>m</Message></Error>`);
  };
const html =
  (status: number): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'text/html' });
    response.end('<html>no</html>');
  };

const SILENT = 'no answer in time';

/** The response; the expected result of a put; that of a get. */
const table: readonly (readonly [string, RequestListener, string, string])[] = [
  ['500 InternalError', xml(500, 'InternalError'), 'transient', 'transient'],
  ['503 SlowDown', xml(503, 'SlowDown'), 'transient', 'transient'],
  ['503 ServiceUnavailable', xml(503, 'ServiceUnavailable'), 'transient', 'transient'],
  ['429 TooManyRequests', xml(429, 'TooManyRequests'), 'transient', 'transient'],
  ['400 RequestTimeout', xml(400, 'RequestTimeout'), 'transient', 'transient'],
  ['400 BadDigest', xml(400, 'BadDigest'), 'transient', 'transient'],
  ['507 without a body', html(507), 'transient', 'transient'],
  ['502 HTML of a gateway', html(502), 'unknown', 'transient'],
  ['504 HTML of a gateway', html(504), 'unknown', 'transient'],
  ['403 AccessDenied', xml(403, 'AccessDenied'), 'denied', 'denied'],
  ['403 InvalidAccessKeyId', xml(403, 'InvalidAccessKeyId'), 'denied', 'denied'],
  ['403 SignatureDoesNotMatch', xml(403, 'SignatureDoesNotMatch'), 'denied', 'denied'],
  ['400 ExpiredToken', xml(400, 'ExpiredToken'), 'denied', 'denied'],
  ['403 RequestTimeTooSkewed', xml(403, 'RequestTimeTooSkewed'), 'transient', 'transient'],
  ['404 NoSuchBucket', xml(404, 'NoSuchBucket'), 'notFound', 'notFound'],
  ['404 NoSuchKey', xml(404, 'NoSuchKey'), 'notFound', 'notFound'],
  ['412 PreconditionFailed', xml(412, 'PreconditionFailed'), 'conflict', 'conflict'],
  [
    '409 ConditionalRequestConflict',
    xml(409, 'ConditionalRequestConflict'),
    'conflict',
    'conflict',
  ],
  ['400 EntityTooLarge', xml(400, 'EntityTooLarge'), 'invalid', 'invalid'],
  ['400 KeyTooLongError', xml(400, 'KeyTooLongError'), 'invalid', 'invalid'],
  ['a connection that ends', (request) => request.socket.resetAndDestroy(), 'unknown', 'transient'],
  [SILENT, () => undefined, 'unknown', 'transient'],
];

test.each(table)('%s is classified, by one attempt', async (name, answer, put, get) => {
  // The first call in a process takes long on a busy machine.
  const { backend, asked } = await scripted(answer, name === SILENT ? 300 : undefined);
  const results = [
    await backend.put('k', bytesSource(BYTES), putOptions(BYTES)),
    await backend.get('k', { signal }),
  ];
  expect(results.map(({ kind }) => kind)).toEqual([put, get]);
  expect(asked).toHaveLength(2);
});

test('a body that is a stream is sent by one attempt as well', async () => {
  const { backend, asked } = await scripted(xml(503, 'SlowDown'));
  const whole = bytesSource(BYTES);
  const stream = { size: whole.size, open: () => whole.open() };
  expect((await backend.put('k', stream, putOptions(BYTES))).kind).toBe('transient');
  expect(asked).toHaveLength(1);
});

test('missing credentials are classified as denied, an unknown host as transient', async () => {
  const failing = () =>
    Promise.reject(
      Object.assign(new Error('no credentials'), { name: 'CredentialsProviderError' }),
    );
  const cases = [
    { endpoint: 'http://127.0.0.1:1', credentials: failing, kind: 'denied' },
    {
      endpoint: 'http://nowhere.invalid',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      kind: 'transient',
    },
  ];
  for (const { endpoint, credentials, kind } of cases) {
    const client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials,
    });
    const backend = s3Backend({ client, bucket: 'b' });
    expect((await backend.put('k', bytesSource(BYTES), putOptions(BYTES))).kind).toBe(kind);
    client.destroy();
  }
});

test('a success without an ETag does not count as a success', async () => {
  const { backend } = await scripted(html(200));
  expect((await backend.put('k', bytesSource(BYTES), putOptions(BYTES))).kind).toBe('unknown');
  expect((await backend.head('k', { signal })).kind).toBe('transient');
});

test('a HEAD error without a body is classified by its status', async () => {
  const forbidden = await scripted((_, response) => void response.writeHead(403).end());
  expect((await forbidden.backend.head('k', { signal })).kind).toBe('denied');
  const absent = await scripted((_, response) => void response.writeHead(404).end());
  expect((await absent.backend.head('k', { signal })).kind).toBe('notFound');
});

test('a refused connection is a write that was not made', async () => {
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
  const client = s3Client({ url: 'http://127.0.0.1:1', credentials });
  const backend = s3Backend({ client, bucket: 'b' });
  expect(await backend.put('k', bytesSource(BYTES), putOptions(BYTES))).toMatchObject({
    kind: 'transient',
    code: 'ECONNREFUSED',
  });
  client.destroy();
});

test('a body that is truncated or does not match its checksum is an error of the body', async () => {
  const cut = await scripted((request, response) => {
    response.writeHead(200, { 'content-length': '8', etag: '"e"' });
    response.write('half', () => request.socket.destroy());
  });
  const got = await cut.backend.get('k', { signal });
  if (got.kind !== 'ok') throw new Error(got.message);
  await expect(collect(got.value.body)).rejects.toMatchObject({ code: 'STORAGE_BODY_INTEGRITY' });

  const wrong = await scripted((_, response) => {
    response.writeHead(200, {
      'content-length': '4',
      etag: '"e"',
      'x-amz-checksum-crc32': 'AAAAAA==',
    });
    response.end('half');
  });
  const broken = await wrong.backend.get('k', { signal });
  if (broken.kind !== 'ok') throw new Error(broken.message);
  await expect(collect(broken.value.body)).rejects.toMatchObject({
    code: 'STORAGE_BODY_INTEGRITY',
  });
});

test('Retry-After of a throttled S3 reaches the caller', async () => {
  const { backend } = await scripted((_, response) => {
    response.writeHead(503, { 'retry-after': '3', 'content-type': 'application/xml' });
    response.end('<Error><Code>SlowDown</Code></Error>');
  });
  expect(await backend.put('k', bytesSource(BYTES), putOptions(BYTES))).toMatchObject({
    kind: 'transient',
    retryAfterMs: 3_000,
  });
});

test('a HEAD response contains the server’s own time, for the age of the object', async () => {
  const date = 'Thu, 01 Jan 2026 01:00:00 GMT';
  const modified = 'Thu, 01 Jan 2026 00:00:00 GMT';
  const { backend } = await scripted((_, response) => {
    response.sendDate = false;
    response.writeHead(200, { etag: '"e"', date, 'last-modified': modified }).end();
  });
  expect(await backend.head('k', { signal })).toMatchObject({
    value: { lastModifiedEpochMs: Date.parse(modified), servedAtEpochMs: Date.parse(date) },
  });
});
