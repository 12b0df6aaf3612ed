import { createHash, createHmac } from 'node:crypto';
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createChecksum } from '../src/s3/wire/checksums.ts';
import { decodeChunks } from '../src/s3/wire/chunked.ts';
import type { ServerFault } from '../src/serving/call-faults.ts';
import { openRecordFile } from '../src/object-files/records.ts';
import { createS3Server } from '../src/s3/s3-server.ts';
import { chunkSigner } from '../src/s3/wire/signature.ts';
import { parseXml, writeXml } from '../src/s3/wire/xml.ts';
import { s3Error, withS3 } from './s3-client.ts';

const Bucket = 'bucket';

async function inFolder(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-s3-test-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('acknowledged objects survive a restart on the same directory', async () => {
  await inFolder(async (directory) => {
    const Metadata = { op: '1' };
    await withS3({ directory }, async ({ client }) => {
      for (const Key of ['../a', 'b']) {
        await client.send(new PutObjectCommand({ Bucket, Key, Body: Key, Metadata }));
      }
    });
    const server = await createS3Server({ directory });
    const client = new S3Client({
      endpoint: server.url,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { ...server.credentials },
    });
    try {
      const got = await client.send(new GetObjectCommand({ Bucket, Key: '../a' }));
      expect([await got.Body?.transformToString(), got.Metadata]).toEqual(['../a', Metadata]);
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
      expect(Contents.map(({ Key }) => Key)).toEqual(['../a', 'b']);
      expect(server.getStats()).toMatchObject({ objects: 2, storedBytes: 5 });
    } finally {
      client.destroy();
      await server.close();
    }
  });
});

test('a torn record is ignored', async () => {
  await inFolder(async (directory) => {
    const shape = { n: { permitted: 'a number', parse: Number } };
    const before = openRecordFile(directory);
    before.table('t', shape).set('whole', { n: 1 });
    before.close();
    await appendFile(join(directory, 'records.jsonl'), '["t","torn",{"n');
    const after = openRecordFile(directory);
    const table = after.table('t', shape);
    expect(table.keys()).toEqual(['whole']);
    table.delete('whole');
    after.close();
    const last = openRecordFile(directory);
    expect(last.table('t', shape).keys()).toEqual([]);
    last.close();
  });
});

test('a body that was being received at a crash is removed at the next start', async () => {
  await inFolder(async (directory) => {
    await withS3({ directory }, async ({ client }) => {
      await client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'x' }));
    });
    const blobs = join(directory, 'blobs');
    const [whole] = await readdir(blobs);
    await writeFile(join(blobs, 'half'), 'ha');
    await (await createS3Server({ directory })).close();
    expect(await readdir(blobs)).toEqual([whole]);
  });
});

test.each([
  ['an object over maxObjectBytes', { maxObjectBytes: 3 }, 'EntityTooLarge', 400],
  ['an object beyond maxStoredBytes', { maxStoredBytes: 3 }, 'InsufficientStorage', 507],
])('%s is rejected and stores nothing', async (_, limits, reason, status) => {
  await withS3(limits, async ({ client, server }) => {
    await client.send(new PutObjectCommand({ Bucket, Key: 'fits', Body: 'abc' }));
    const put = client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'abcd' }));
    await expect(put).rejects.toEqual(s3Error(reason, status));
    expect(server.getStats()).toMatchObject({ objects: 1, storedBytes: 3 });
  });
});

test('an upload whose connection fails stores nothing and keeps the previous object', async () => {
  await withS3({}, async ({ client, server }) => {
    await client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'before' }));
    const aborted = new AbortController();
    async function* endless(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(100_000);
      aborted.abort();
    }
    const Body = Readable.from(endless());
    const put = new PutObjectCommand({ Bucket, Key: 'key', Body, ContentLength: 1_000_000 });
    await expect(client.send(put, { abortSignal: aborted.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    const got = await client.send(new GetObjectCommand({ Bucket, Key: 'key' }));
    expect(await got.Body?.transformToString()).toBe('before');
    expect(server.getStats().storedBytes).toBe(6);
  });
});

test('a fault is injected before or after the operation, and other requests succeed', async () => {
  let fault: ServerFault | undefined;
  const faults = ({ operation }: { operation: string }): ServerFault | undefined =>
    operation === 'PutObject' ? fault : undefined;
  await withS3({ faults }, async ({ client, server }) => {
    const put = (Key: string): Promise<unknown> =>
      client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const isThere = async (Key: string): Promise<boolean> =>
      client.send(new HeadObjectCommand({ Bucket, Key })).then(
        () => true,
        () => false,
      );
    const wasReset = { message: expect.stringContaining('ECONNRESET') };
    fault = { kind: 'error', status: 503, code: 'SlowDown' };
    await expect(put('a')).rejects.toEqual(s3Error('SlowDown', 503));
    fault = { kind: 'error', status: 500, code: 'InternalError', when: 'after' };
    await expect(put('b')).rejects.toEqual(s3Error('InternalError', 500));
    fault = { kind: 'reset', when: 'after' };
    await expect(put('c')).rejects.toMatchObject(wasReset);
    fault = { kind: 'reset' };
    await expect(put('d')).rejects.toMatchObject(wasReset);
    fault = undefined;
    await put('e');
    const there = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(isThere));
    expect(there).toEqual([false, true, true, false, true]);
    expect(server.getStats().requests).toMatchObject({ PutObject: 5, HeadObject: 5 });
  });
});

test('a delayed response follows the clock of the server', async () => {
  const startMs = Date.now();
  const clock = createFakeClock(startMs);
  let isSlow = false;
  const faults = (): ServerFault | undefined =>
    isSlow ? { kind: 'delay', delayMs: 5_000 } : undefined;
  await withS3({ clock, faults }, async ({ client }) => {
    isSlow = true;
    const put = client.send(new PutObjectCommand({ Bucket, Key: 'key', Body: 'x' }));
    await clock.settle(put);
    expect(clock.now()).toBe(5_000);
    expect(clock.pendingTimers).toBe(0);
  });
});

test('close is idempotent and ends requests in progress', async () => {
  const server = await createS3Server({ faults: () => ({ kind: 'delay', delayMs: 600_000 }) });
  const pending = fetch(`${server.url}/bucket/key`).catch(() => 'ended');
  await fetch(server.url, { signal: AbortSignal.timeout(50) }).catch(() => undefined);
  await Promise.all([server.close(), server.close()]);
  await server[Symbol.asyncDispose]();
  expect(await pending).toBe('ended');
});

test.each([
  [{ accessKey: 'x' }, 'accessKey'],
  [{ accessKeyId: '' }, 'accessKeyId'],
  [{ port: 70_000 }, 'port'],
  [{ maxObjectBytes: 0 }, 'maxObjectBytes'],
  [{ accounts: [{ accessKeyId: 'x' }] }, 'accounts[0].secretAccessKey'],
  [{ faults: {} }, 'faults'],
])('the options %j are rejected with an error that names %s', async (options, field) => {
  const wrong: object = options;
  await expect(createS3Server(wrong)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});

test.each([
  ['CRC32', 'cbf43926'],
  ['CRC32C', 'e3069283'],
  ['CRC64NVME', 'ae8b14860a799888'],
  ['SHA1', 'f7c3bc1d808e04732adf679965ccc34ca7ae3441'],
] as const)('%s of the digits one to nine is %s', (name, expected) => {
  const checksum = createChecksum(name);
  for (const piece of ['1234', '', '56789']) checksum.update(Buffer.from(piece));
  expect(Buffer.from(checksum.digest(), 'base64').toString('hex')).toBe(expected);
});

/** The chunks of a body, framed and signed as by a client. */
function signedFrames(chunks: readonly string[], key: string): string {
  let previous = 'seed';
  const sign = (text: string): string => {
    const hash = createHash('sha256').update(text).digest('hex');
    const nothing = createHash('sha256').update('').digest('hex');
    const toSign = ['AWS4-HMAC-SHA256-PAYLOAD', 'stamp', previous, nothing, hash].join('\n');
    return (previous = createHmac('sha256', key).update(toSign).digest('hex'));
  };
  const frames = [...chunks, ''].map(
    (chunk) => `${chunk.length.toString(16)};chunk-signature=${sign(chunk)}\r\n${chunk}\r\n`,
  );
  return frames.join('');
}

test('signed chunks are decoded wherever the network splits them, and a forged one is rejected', async () => {
  const read = async (framed: string, pieceBytes: number): Promise<string> => {
    const pieces: Buffer[] = [];
    for (let at = 0; at < framed.length; at += pieceBytes) {
      pieces.push(Buffer.from(framed.slice(at, at + pieceBytes)));
    }
    let body = '';
    const signer = chunkSigner('key', 'stamp', 'seed');
    for await (const piece of decodeChunks(Readable.from(pieces), signer, () => undefined)) {
      body += Buffer.from(piece).toString();
    }
    return body;
  };
  const framed = signedFrames(['first chunk', 'x'.repeat(70_000), 'last'], 'key');
  for (const pieceBytes of [1, 7, 4_096, 1_000_000]) {
    expect(await read(framed, pieceBytes)).toBe(`first chunk${'x'.repeat(70_000)}last`);
  }
  const forged = framed.replace('last', 'lost');
  await expect(read(forged, 100)).rejects.toMatchObject({ reason: 'SignatureDoesNotMatch' });
  const cut = framed.slice(0, -90);
  await expect(read(cut, 100)).rejects.toMatchObject({ code: 'S3_ERROR' });
  const bare = 'not framed at all\r\n';
  await expect(read(bare, 100)).rejects.toMatchObject({ reason: 'IncompleteBody' });
});

test('written XML is parsed back unchanged', () => {
  const text = ' <a>&amp;"\'\r\n\t\u0001☃😀 ';
  const written = writeXml([
    'Root',
    [
      ['Text', text],
      ['Count', 3],
      ['Is', true],
    ],
  ]);
  const root = parseXml(written);
  expect(root?.elements.map((each) => [each.name, each.text])).toEqual([
    ['Text', text],
    ['Count', '3'],
    ['Is', 'true'],
  ]);
});

test.each(['', '<a>', '<a></b>', '</a>', 'text', '<a/><b/>', '<a>&</a', '<!DOCTYPE a><a/>'])(
  'the document %j is not well-formed',
  (document) => {
    expect(parseXml(document)).toBeUndefined();
  },
);
